/* SPDX-License-Identifier: Apache-2.0 */
/* What was asked of a table and its inputs, batch by batch, and what of that is a problem. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/validation/findings.h"

#define NOT_KNOWN (-1)

struct tally_batch {
	int64_t rows, recorded, duplicates, expected, input_rows;
	char *sample;
	uint32_t inputs; /* that hold rows in the window */
	uint32_t input;	 /* the last of them, counted from 1 */
	bool built, running;
};

int tally_init(struct tally *t, enum batch_size size, struct ordinal_range looked, bool whole)
{
	*t = (struct tally){.size = size, .looked = looked, .whole = whole};
	if (looked.end < looked.first)
		t->looked.end = looked.first;
	size_t n = t->looked.end - t->looked.first;
	t->batch = calloc(n + 1, sizeof *t->batch);
	if (!t->batch)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		t->batch[i].recorded = NOT_KNOWN;
	return 0;
}

void tally_fini(struct tally *t)
{
	for (ordinal b = t->looked.first; t->batch && b < t->looked.end; b++)
		free(t->batch[b - t->looked.first].sample);
	free(t->batch);
	free(t->expect_wrong);
	*t = (struct tally){.batch = NULL};
}

static struct tally_batch *at(const struct tally *t, ordinal batch)
{
	bool inside = batch >= t->looked.first && batch < t->looked.end;
	return inside ? &t->batch[batch - t->looked.first] : NULL;
}

static struct tally_batch *at_start(const struct tally *t, int64_t start_us)
{
	bool possible = start_us >= CALENDAR_MIN_US && start_us < CALENDAR_END_US;
	return possible ? at(t, calendar_ordinal(t->size, start_us)) : NULL;
}

void tally_state(struct tally *t, ordinal batch, bool built, bool running, int64_t recorded)
{
	struct tally_batch *b = at(t, batch);
	if (!b)
		return;
	b->built = built;
	b->running = running;
	b->recorded = recorded;
}

void tally_rows(struct tally *t, int64_t start_us, int64_t rows)
{
	struct tally_batch *b = at_start(t, start_us);
	if (b) {
		b->rows += rows;
		return;
	}
	if (!t->outside || start_us < t->outside_first)
		t->outside_first = start_us;
	if (!t->outside || start_us > t->outside_last)
		t->outside_last = start_us;
	t->outside += rows;
}

void tally_no_event_time(struct tally *t, int64_t rows)
{
	t->no_event_time += rows;
}

void tally_duplicates(struct tally *t, int64_t start_us, int64_t rows, const char *sample)
{
	struct tally_batch *b = at_start(t, start_us);
	if (!b)
		return;
	b->duplicates += rows;
	if (!b->sample)
		b->sample = strdup(sample);
}

/* Only what is built, and is not being built again, is judged. */
static bool is_judged(const struct tally_batch *b)
{
	return b->built && !b->running;
}

struct ordinal_range tally_empty(const struct tally *t)
{
	struct ordinal_range r = {t->looked.end, t->looked.end};
	for (ordinal o = t->looked.first; o < t->looked.end; o++) {
		const struct tally_batch *b = at(t, o);
		if (!is_judged(b) || b->rows)
			continue;
		if (r.first == t->looked.end)
			r.first = o;
		r.end = o + 1;
	}
	return r;
}

void tally_input_begin(struct tally *t)
{
	t->inputs++;
}

void tally_input(struct tally *t, int64_t start_us, int64_t rows)
{
	struct tally_batch *b = at_start(t, start_us);
	if (!b || rows <= 0)
		return;
	b->input_rows += rows;
	b->inputs += b->input != t->inputs;
	b->input = (uint32_t)t->inputs;
}

void tally_expect_begin(struct tally *t)
{
	t->expects = true;
}

void tally_expect_wrong(struct tally *t, const char *why)
{
	if (!t->expect_wrong)
		t->expect_wrong = strdup(why);
}

void tally_expect(struct tally *t, int64_t start_us, int64_t rows)
{
	struct tally_batch *b = at_start(t, start_us);
	char text[CALENDAR_TIME_MAX];
	bool possible = start_us >= CALENDAR_MIN_US && start_us < CALENDAR_END_US;
	if (possible && calendar_start(t->size, calendar_ordinal(t->size, start_us)) != start_us) {
		auto_strbuf why = STRBUF_INIT;
		calendar_format_time(start_us, text);
		strbuf_printf(&why, "its first column holds %s, which is the start of no batch", text);
		tally_expect_wrong(t, why.str);
	} else if (b) {
		b->expected += rows;
	}
}

static void put_table(struct tally *t, struct strbuf *out)
{
	struct problem p = {.of_table = true, .recorded = -1, .input_rows = -1, .duplicates = -1};
	char first[CALENDAR_TIME_MAX] = "", last[CALENDAR_TIME_MAX] = "";
	auto_strbuf detail = STRBUF_INIT;
	if (t->whole && t->outside) {
		calendar_format_date(t->outside_first, first);
		calendar_format_date(t->outside_last, last);
		strbuf_printf(&detail, "%s before begin or behind the window that is open now, ",
			      count_of((uint64_t)t->outside, "row lies", "rows lie").text);
		strbuf_printf(&detail, strcmp(first, last) == 0 ? "on %s" : "from %s to %s", first, last);
		p.kind = PROBLEM_OUTSIDE;
		p.rows = t->outside;
		p.detail = detail.str;
		findings_put_problem(out, t->size, &p);
		t->found++;
	}
	if (t->whole && t->no_event_time) {
		strbuf_clear(&detail);
		strbuf_printf(&detail, "%s no event_time, and %s in no batch",
			      count_of((uint64_t)t->no_event_time, "row has", "rows have").text,
			      t->no_event_time == 1 ? "is" : "are");
		p.kind = PROBLEM_NO_EVENT_TIME;
		p.rows = t->no_event_time;
		p.detail = detail.str;
		findings_put_problem(out, t->size, &p);
		t->found++;
	}
	if (t->expect_wrong) {
		strbuf_clear(&detail);
		strbuf_printf(&detail, "the query of meta.batchfs.expect is wrong: %s", t->expect_wrong);
		p.kind = PROBLEM_EXPECT;
		p.rows = -1;
		p.detail = detail.str;
		findings_put_problem(out, t->size, &p);
		t->found++;
	}
}

static void put(struct tally *t, ordinal batch, enum problem_kind kind, const char *detail,
		struct strbuf *out)
{
	const struct tally_batch *b = at(t, batch);
	bool inputs = kind == PROBLEM_EMPTY;
	const struct problem p = {.kind = kind,
				  .batch = batch,
				  .rows = b->rows,
				  .recorded = b->recorded,
				  .input_rows = inputs			 ? b->input_rows
						: kind == PROBLEM_EXPECT ? b->expected
									 : -1,
				  .duplicates = kind == PROBLEM_DUPLICATE ? b->duplicates : -1,
				  .detail = (char *)detail};
	if (t->found < PROBLEMS_KEPT)
		findings_put_problem(out, t->size, &p);
	else if (t->found == PROBLEMS_KEPT)
		findings_put_cut(out, t->size, batch);
	t->found++;
}

static void judge(struct tally *t, ordinal batch, struct strbuf *out)
{
	const struct tally_batch *b = at(t, batch);
	auto_strbuf detail = STRBUF_INIT;
	if (!b->rows && t->inputs && b->inputs == t->inputs)
		put(t, batch, PROBLEM_EMPTY, "its inputs have rows, and it has none", out);
	if (b->recorded >= 0 && b->recorded != b->rows)
		put(t, batch, PROBLEM_COUNT, "somebody else has written to it since it was built", out);
	if (b->duplicates) {
		strbuf_printf(&detail, "%s the unique_key with another one: %s",
			      count_of((uint64_t)b->duplicates, "row shares", "rows share").text,
			      b->sample ? b->sample : "");
		put(t, batch, PROBLEM_DUPLICATE, detail.str, out);
	}
	if (t->expects && !t->expect_wrong && b->expected != b->rows) {
		strbuf_clear(&detail);
		strbuf_printf(&detail, "the query of meta.batchfs.expect says %" PRId64, b->expected);
		put(t, batch, PROBLEM_EXPECT, detail.str, out);
	}
}

/* What is not built, neighbours as one. */
static void put_gaps(const struct tally *t, struct strbuf *out)
{
	for (ordinal o = t->looked.first; o < t->looked.end; o++) {
		ordinal first = o;
		while (o < t->looked.end && !at(t, o)->built)
			o++;
		if (o > first)
			findings_put_gap(out, t->size, (struct ordinal_range){first, o});
	}
}

int tally_judge(struct tally *t, struct strbuf *out)
{
	t->batches = t->pending = t->found = 0;
	put_table(t, out);
	for (ordinal o = t->looked.first; o < t->looked.end; o++) {
		const struct tally_batch *b = at(t, o);
		t->batches += b->built;
		t->pending += !b->built;
		if (is_judged(b))
			judge(t, o, out);
	}
	put_gaps(t, out);
	if (t->looked.end - t->looked.first == 1 && is_judged(&t->batch[0]))
		findings_put_one(out, t->batch[0].rows, t->batch[0].recorded);
	return strbuf_broken(out) ? -ENOMEM : 0;
}

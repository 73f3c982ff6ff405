/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/report/validation.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/report/json.h"

int report_problem_add(struct report_validation *r, const char *dir, enum batch_size size,
		       const struct problem *p)
{
	/* At powers of two. */
	if ((r->n & (r->n - 1)) == 0) {
		struct report_problem *list = reallocarray(r->list, r->n ? 2 * r->n : 1, sizeof *list);
		if (!list)
			return -ENOMEM;
		r->list = list;
	}
	char *detail = strdup(p->detail);
	if (!detail)
		return -ENOMEM;
	r->list[r->n] = (struct report_problem){.dir = dir, .size = size, .problem = *p};
	r->list[r->n++].problem.detail = detail;
	return 0;
}

void report_missing_add(struct report_validation *r, const char *dir)
{
	if (!r->missing.str)
		r->missing = (struct strbuf)STRBUF_INIT;
	strbuf_printf(&r->missing, "%s%s", r->missing.len ? ", " : "", dir);
}

void report_validation_fini(struct report_validation *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->list[i].problem.detail);
	free(r->list);
	if (r->missing.str)
		strbuf_fini(&r->missing);
}

static json_t *problem(const struct report_problem *p)
{
	char name[CALENDAR_NAME_MAX];
	calendar_name(p->size, p->problem.batch, name);
	return json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:o}", "model", p->dir, "batch",
			 p->problem.of_table ? json_null() : json_string(name), "kind",
			 problem_word(p->problem.kind), "rows", json_count(p->problem.rows), "recorded",
			 json_count(p->problem.recorded), "input_rows", json_count(p->problem.input_rows),
			 "detail", json_text(p->problem.detail));
}

int report_validation_json(const struct report_validation *r, struct strbuf *out)
{
	/* Of nothing all is known: a set that is empty now has no problem, as sync says. */
	bool any = r->oldest || (r->models && !r->missing.len);
	json_t *list = json_array();
	for (size_t i = 0; list && i < r->n; i++)
		json_array_append_new(list, problem(&r->list[i]));
	return json_finish(json_pack("{s:o, s:o, s:o, s:o, s:o}", "at", json_time(r->at), "batches",
				     json_count(any ? r->batches : -1), "found",
				     json_count(any ? r->found : -1), "problems", list, "pending",
				     json_count(any ? r->pending : -1)),
			   out);
}

static void put_name(const struct report_validation *r, const char *dir, enum batch_size size, ordinal batch,
		     bool of_table, struct strbuf *out)
{
	char name[CALENDAR_NAME_MAX] = "-";
	if (!of_table)
		calendar_name(size, batch, name);
	strbuf_printf(out, "%s%s%s", r->several ? dir : "", r->several ? "/" : "", name);
}

static void put_number(int64_t n, struct strbuf *out)
{
	char text[24] = "-";
	if (n >= 0)
		snprintf(text, sizeof text, "%" PRId64, n);
	strbuf_printf(out, "  %10s", text);
}

/* A line but for its verdict. */
static void put_line(const char *name, size_t width, const int64_t number[4], struct strbuf *out)
{
	strbuf_printf(out, "%-*s", (int)width, name);
	for (int i = 0; i < 4; i++)
		put_number(number[i], out);
	strbuf_puts(out, "  ");
}

static bool same_batch(const struct report_problem *a, const struct report_problem *b)
{
	return a->dir == b->dir && !a->problem.of_table && !b->problem.of_table &&
	       a->problem.batch == b->problem.batch;
}

/* The problems of one batch, from `from` on; returns where the next one's begin. */
static size_t put_problems(const struct report_validation *r, size_t from, size_t width, struct strbuf *out)
{
	auto_strbuf name = STRBUF_INIT, verdict = STRBUF_INIT;
	const struct report_problem *first = &r->list[from];
	int64_t number[4] = {first->problem.rows, first->problem.recorded, -1, -1};
	size_t i = from;
	put_name(r, first->dir, first->size, first->problem.batch, first->problem.of_table, &name);
	for (; i == from || (i < r->n && same_batch(first, &r->list[i])); i++) {
		const struct problem *p = &r->list[i].problem;
		/* What a number beside it says needs no words. */
		bool plain = p->kind == PROBLEM_COUNT || p->kind == PROBLEM_EMPTY;
		if (p->kind == PROBLEM_EMPTY)
			number[2] = p->input_rows;
		if (p->kind == PROBLEM_DUPLICATE)
			number[3] = p->duplicates;
		strbuf_printf(&verdict, "%s%s", i > from ? ", " : "", problem_word(p->kind));
		if (!plain && *p->detail)
			strbuf_printf(&verdict, " (%s)", p->detail);
	}
	put_line(name.str, width, number, out);
	strbuf_printf(out, "%s\n", verdict.str);
	return i;
}

static size_t width_of(const struct report_validation *r)
{
	size_t width = strlen("2024-09-01");
	for (size_t i = 0; i < r->n; i++) {
		auto_strbuf name = STRBUF_INIT;
		const struct report_problem *p = &r->list[i];
		put_name(r, p->dir, p->size, p->problem.batch, p->problem.of_table, &name);
		width = name.len > width ? name.len : width;
	}
	return width;
}

static void put_table(const struct report_validation *r, struct strbuf *out)
{
	static const char *const heads[] = {"rows now", "recorded", "inputs", "duplicates"};
	bool fine = r->single && r->n == 0;
	size_t width = width_of(r);
	if (r->n == 0 && !fine)
		return;
	strbuf_printf(out, "%-*s", (int)width, "batch");
	for (int i = 0; i < 4; i++)
		strbuf_printf(out, "  %10s", heads[i]);
	strbuf_puts(out, "  verdict\n");
	for (size_t i = 0; i < r->n;)
		i = put_problems(r, i, width, out);
	if (fine) {
		auto_strbuf name = STRBUF_INIT;
		const int64_t number[4] = {r->rows, r->recorded, -1, -1};
		put_name(r, r->dir, r->size, r->batch, false, &name);
		put_line(name.str, width, number, out);
		strbuf_puts(out, r->batches ? "ok\n" : "not built\n");
	}
}

static void put_rest(const struct report_validation *r, struct strbuf *out)
{
	char at[CALENDAR_TIME_MAX];
	if (r->never)
		strbuf_printf(out, "%s.\n", r->never);
	else if (r->missing.len)
		strbuf_printf(out,
			      "Not validated yet: %s. Touching this file starts it, sync waits for it.\n",
			      r->missing.str);
	if (*r->failed) {
		calendar_format_time(r->failed_at, at);
		strbuf_printf(out, "The validation that ended at %s came to no report: %s.\n", at, r->failed);
	}
	if (r->since) {
		calendar_format_time(r->since, at);
		strbuf_printf(out, "A validation that was asked for at %s %s%s%s.\n", at,
			      *r->waits_for ? "is tried again"
			      : r->begun    ? "is under way"
					    : "is to come",
			      *r->waits_for ? ": " : "", r->waits_for);
	}
}

int report_validation_table(const struct report_validation *r, struct strbuf *out)
{
	char at[CALENDAR_TIME_MAX];
	if (r->oldest) {
		put_table(r, out);
		calendar_format_time(r->oldest, at);
		strbuf_printf(out, "%s: %s looked at, %s found, %" PRId64 " not built.\n", at,
			      count_of((uint64_t)r->batches, "batch", "batches").text,
			      r->found ? count_of((uint64_t)r->found, "problem", "problems").text : "nothing",
			      r->pending);
		if ((size_t)r->found > r->n)
			strbuf_printf(out, "The first %zu of them are listed.\n", r->n);
	}
	put_rest(r, out);
	if (out->len == 0)
		strbuf_puts(out,
			    r->models
				    ? "There is no batch in it.\n"
				    : "There is no table of it that could be looked at: .model says why.\n");
	return strbuf_broken(out) ? -ENOMEM : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.sql: seven years of hours are 60 MB, which nobody is to pay for but who reads them. The statements of a
 * batch are as long as those of another one at the same time of day (midnight may be written shorter), but
 * where the number of a literal gains a digit: so the size, and the place of an offset, are known from few
 * batches. What is read is compared with that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/snapshot.h"
#include "backend/view/pages.h"

#define HOURS 24

/* Of the batches of a day by their time, or of the one that is as long or longer. */
struct lengths {
	size_t of[HOURS];
};

/* Days, or longer batches, of equal lengths. */
struct stretch {
	ordinal first; /* to the first of the next */
	struct lengths lengths;
	size_t cycle; /* of a whole day */
	size_t off;   /* of the first in the text */
};

struct sql {
	struct backend_pages pages; /* first: whoever has this has the other */
	const struct snapshot *v;
	slot model;
	struct ordinal_range batches; /* empty: the head is all */
	unsigned per_day;	      /* batches: as many lengths count */
	char code[17];		      /* of the model then */
	struct strbuf head;
	struct stretch *stretches;
	size_t n, room;
};

static int render(const struct sql *s, struct ordinal_range batches, struct strbuf *out)
{
	struct error err = {0};
	int r = builder_statements(s->v->store, s->model, batches, out, &err);
	if (r < 0)
		log_warning(s->v->config->log, "%s: %s", models_dir(s->v->models, s->model), err.text);
	return r;
}

/* The statements of one batch, behind the head. -ESTALE: not as they were. */
static int render_batch(const struct sql *s, ordinal batch, struct strbuf *out)
{
	strbuf_clear(out);
	int r = render(s, (struct ordinal_range){batch, batch + 1}, out);
	if (r < 0)
		return r;
	if (out->len < s->head.len || memcmp(out->str, s->head.str, s->head.len) != 0)
		return -ESTALE;
	return 0;
}

/* Of the day that the batch is in: also of its batches that are not in the range. */
static int measure(const struct sql *s, ordinal batch, struct lengths *out)
{
	auto_strbuf text = STRBUF_INIT;
	ordinal midnight = batch - batch % s->per_day;
	*out = (struct lengths){{0}};
	for (unsigned i = 0; i < s->per_day; i++) {
		int r = render_batch(s, midnight + i, &text);
		if (r < 0)
			return r;
		out->of[i] = text.len - s->head.len;
	}
	return 0;
}

static bool equal(const struct lengths *a, const struct lengths *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

static size_t length_of(const struct sql *s, const struct stretch *t, ordinal batch)
{
	return t->lengths.of[batch % s->per_day];
}

/* From the batch `first` on to the batch before `end`. */
static int add_stretch(struct sql *s, ordinal first, ordinal end, const struct lengths *lengths)
{
	bool same = s->n && equal(&s->stretches[s->n - 1].lengths, lengths);
	if (!same && s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 4;
		struct stretch *more = realloc(s->stretches, room * sizeof *more);
		if (!more)
			return -ENOMEM;
		s->stretches = more;
		s->room = room;
	}
	if (!same) {
		struct stretch new = {.first = first, .lengths = *lengths, .off = s->pages.size};
		for (unsigned i = 0; i < s->per_day; i++)
			new.cycle += lengths->of[i];
		s->stretches[s->n++] = new;
	}
	const struct stretch *t = &s->stretches[s->n - 1];
	s->pages.size += (end - first) / s->per_day * t->cycle;
	for (ordinal o = end - (end - first) % s->per_day; o < end; o++)
		s->pages.size += length_of(s, t, o);
	return 0;
}

/* The days of [first, end), of which the first and the last are measured. */
static int find_stretches(struct sql *s, ordinal first, ordinal end, const struct lengths *at_first,
			  const struct lengths *at_last)
{
	ordinal day = first / s->per_day, last = (end - 1) / s->per_day;
	ordinal middle = day + (last - day) / 2, split = (middle + 1) * s->per_day;
	struct lengths here, next;
	if (day == last)
		return add_stretch(s, first, end, at_first);
	int r = measure(s, middle * s->per_day, &here);
	if (r < 0)
		return r;
	if (equal(at_first, at_last) && equal(at_first, &here))
		return add_stretch(s, first, end, at_first);
	r = measure(s, split, &next);
	if (r == 0)
		r = find_stretches(s, first, split, at_first, &here);
	return r < 0 ? r : find_stretches(s, split, end, &next, at_last);
}

static int measure_all(struct sql *s)
{
	struct lengths first, last;
	int r = render(s, (struct ordinal_range){s->batches.first, s->batches.first}, &s->head);
	if (r < 0)
		return r;
	s->pages.size = s->head.len;
	bool one_day = s->batches.first / s->per_day == (s->batches.end - 1) / s->per_day;
	r = measure(s, s->batches.first, &first);
	if (r == 0 && one_day)
		last = first;
	else if (r == 0)
		r = measure(s, s->batches.end - 1, &last);
	return r < 0 ? r : find_stretches(s, s->batches.first, s->batches.end, &first, &last);
}

static void free_sql(struct backend_pages *p)
{
	struct sql *s = (struct sql *)p;
	strbuf_fini(&s->head);
	free(s->stretches);
	free(s);
}

static bool is_current(const struct sql *s)
{
	LOCKED(s->v->lock);
	return strcmp(models_at(s->v->models, s->model)->code, s->code) == 0;
}

static int add_batch(const struct sql *s, ordinal batch, size_t length, size_t at, size_t off, size_t end,
		     struct strbuf *text, struct strbuf *out)
{
	int r = render_batch(s, batch, text);
	if (r < 0)
		return r;
	if (text->len - s->head.len != length)
		return -ESTALE;
	strbuf_add_slice(out, text->str + s->head.len, length, at, off, end);
	return 0;
}

static int read_sql(const struct backend_pages *p, size_t off, size_t end, struct strbuf *out)
{
	const struct sql *s = (const struct sql *)p;
	auto_strbuf text = STRBUF_INIT;
	if (off < s->head.len)
		strbuf_add_slice(out, s->head.str, s->head.len, 0, off, end);
	for (size_t i = 0; i < s->n; i++) {
		const struct stretch *t = &s->stretches[i];
		ordinal stop = i + 1 < s->n ? s->stretches[i + 1].first : s->batches.end;
		size_t days = off > t->off ? (off - t->off) / t->cycle : 0;
		size_t at = t->off + days * t->cycle;
		/* Compared before it is a batch's number: the offset may be that of a later stretch. */
		if (days > (stop - t->first) / s->per_day)
			continue;
		for (ordinal o = t->first + (ordinal)days * s->per_day; o < stop && at < end; o++) {
			size_t length = length_of(s, t, o);
			int r = at + length > off ? add_batch(s, o, length, at, off, end, &text, out) : 0;
			if (r < 0)
				return r;
			at += length;
		}
	}
	return is_current(s) ? 0 : -ESTALE;
}

int backend_sql_open(const struct backend *b, slot model, struct ordinal_range batches,
		     struct backend_pages **out)
{
	static const struct pages_ops ops = {.read = read_sql, .free = free_sql};
	const struct snapshot *v = snapshot_of(b);
	struct sql *s = calloc(1, sizeof *s);
	int r = 0;
	*out = NULL;
	if (!s)
		return -ENOMEM;
	*s = (struct sql){.v = v, .model = model, .batches = batches, .head = STRBUF_INIT};
	pages_init(&s->pages, &ops);
	{
		LOCKED(v->lock);
		const char *why_not = snapshot_model(v, model).why_not;
		s->per_day = models_at(v->models, model)->batch_size == BATCH_HOUR ? HOURS : 1;
		snprintf(s->code, sizeof s->code, "%s", models_at(v->models, model)->code);
		if (why_not) {
			strbuf_printf(&s->head, "-- %s\n", why_not);
			s->batches.end = s->batches.first;
			s->pages.size = s->head.len;
		}
	}
	if (s->batches.first < s->batches.end)
		r = measure_all(s);
	if (r == 0 && strbuf_broken(&s->head))
		r = -ENOMEM;
	if (r < 0)
		backend_pages_close(&s->pages);
	else
		*out = &s->pages;
	return r;
}

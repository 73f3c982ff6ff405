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

struct backend_sql {
	const struct snapshot *v;
	slot model;
	struct ordinal_range batches; /* empty: the head is all */
	unsigned per_day;	      /* batches: as many lengths count */
	char code[17];		      /* of the model then */
	struct strbuf head;
	struct stretch *stretches;
	size_t n, room;
	size_t size;
	unsigned holders; /* atomic */
};

static int render(const struct backend_sql *s, struct ordinal_range batches, struct strbuf *out)
{
	struct error err = {0};
	int r = builder_statements(s->v->store, s->model, batches, out, &err);
	if (r < 0)
		log_warning(s->v->config->log, "%s: %s", models_dir(s->v->models, s->model), err.text);
	return r;
}

/* The statements of one batch, behind the head. -ESTALE: not as they were. */
static int render_batch(const struct backend_sql *s, ordinal batch, struct strbuf *out)
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
static int measure(const struct backend_sql *s, ordinal batch, struct lengths *out)
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

static size_t length_of(const struct backend_sql *s, const struct stretch *t, ordinal batch)
{
	return t->lengths.of[batch % s->per_day];
}

/* From the batch `first` on to the batch before `end`. */
static int add_stretch(struct backend_sql *s, ordinal first, ordinal end, const struct lengths *lengths)
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
		struct stretch new = {.first = first, .lengths = *lengths, .off = s->size};
		for (unsigned i = 0; i < s->per_day; i++)
			new.cycle += lengths->of[i];
		s->stretches[s->n++] = new;
	}
	const struct stretch *t = &s->stretches[s->n - 1];
	s->size += (end - first) / s->per_day * t->cycle;
	for (ordinal o = end - (end - first) % s->per_day; o < end; o++)
		s->size += length_of(s, t, o);
	return 0;
}

/* The days of [first, end), of which the first and the last are measured. */
static int find_stretches(struct backend_sql *s, ordinal first, ordinal end, const struct lengths *at_first,
			  const struct lengths *at_last)
{
	ordinal day = first / s->per_day, last = (end - 1) / s->per_day;
	ordinal middle = day + (last - day) / 2, split = (middle + 1) * s->per_day;
	struct lengths here, next;
	int r = measure(s, middle * s->per_day, &here);
	if (r < 0)
		return r;
	if (day == last || (equal(at_first, at_last) && equal(at_first, &here)))
		return add_stretch(s, first, end, at_first);
	r = measure(s, split, &next);
	if (r == 0)
		r = find_stretches(s, first, split, at_first, &here);
	return r < 0 ? r : find_stretches(s, split, end, &next, at_last);
}

static int measure_all(struct backend_sql *s)
{
	struct lengths first, last;
	int r = render(s, (struct ordinal_range){s->batches.first, s->batches.first}, &s->head);
	if (r < 0)
		return r;
	s->size = s->head.len;
	r = measure(s, s->batches.first, &first);
	if (r == 0)
		r = measure(s, s->batches.end - 1, &last);
	return r < 0 ? r : find_stretches(s, s->batches.first, s->batches.end, &first, &last);
}

int backend_sql_open(const struct backend *b, slot model, struct ordinal_range batches,
		     struct backend_sql **out)
{
	const struct snapshot *v = snapshot_of(b);
	struct backend_sql *s = calloc(1, sizeof *s);
	int r = 0;
	*out = NULL;
	if (!s)
		return -ENOMEM;
	*s = (struct backend_sql){
		.v = v, .model = model, .batches = batches, .head = STRBUF_INIT, .holders = 1};
	{
		LOCKED(v->lock);
		const char *why_not = snapshot_model(v, model).why_not;
		s->per_day = models_at(v->models, model)->batch_size == BATCH_HOUR ? HOURS : 1;
		snprintf(s->code, sizeof s->code, "%s", models_at(v->models, model)->code);
		if (why_not) {
			strbuf_printf(&s->head, "-- %s\n", why_not);
			s->batches.end = s->batches.first;
			s->size = s->head.len;
		}
	}
	if (s->batches.first < s->batches.end)
		r = measure_all(s);
	if (r == 0 && strbuf_broken(&s->head))
		r = -ENOMEM;
	if (r < 0)
		backend_sql_close(s);
	else
		*out = s;
	return r;
}

struct backend_sql *backend_sql_hold(struct backend_sql *s)
{
	__atomic_add_fetch(&s->holders, 1, __ATOMIC_RELAXED);
	return s;
}

void backend_sql_close(struct backend_sql *s)
{
	if (!s || __atomic_sub_fetch(&s->holders, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	strbuf_fini(&s->head);
	free(s->stretches);
	free(s);
}

size_t backend_sql_size(const struct backend_sql *s)
{
	return s->size;
}

static bool is_current(const struct backend_sql *s)
{
	LOCKED(s->v->lock);
	return strcmp(models_at(s->v->models, s->model)->code, s->code) == 0;
}

/* What lies in [off, end) of a piece of the text that begins at `at`. */
static void add_slice(struct strbuf *out, const char *text, size_t len, size_t at, size_t off, size_t end)
{
	size_t from = off > at ? off - at : 0, to = end < at + len ? end - at : len;
	if (from < to)
		strbuf_add(out, text + from, to - from);
}

static int add_batch(const struct backend_sql *s, ordinal batch, size_t length, size_t at, size_t off,
		     size_t end, struct strbuf *text, struct strbuf *out)
{
	int r = render_batch(s, batch, text);
	if (r < 0)
		return r;
	if (text->len - s->head.len != length)
		return -ESTALE;
	add_slice(out, text->str + s->head.len, length, at, off, end);
	return 0;
}

int backend_sql_read(const struct backend_sql *s, size_t off, size_t size, struct strbuf *out)
{
	auto_strbuf text = STRBUF_INIT;
	size_t end = off > s->size || s->size - off < size ? s->size : off + size;
	if (off < s->head.len)
		add_slice(out, s->head.str, s->head.len, 0, off, end);
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
	if (!is_current(s))
		return -ESTALE;
	return strbuf_broken(out) ? -ENOMEM : 0;
}

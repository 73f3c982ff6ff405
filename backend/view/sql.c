/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.sql: seven years of hours are 60 MB, which nobody is to pay for but who reads them. The statements of a
 * batch are as long as those of another one, but where the number of a literal gains a digit: so the size, and
 * the place of an offset, are known from few batches. What is read is compared with that.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/snapshot.h"

struct stretch {
	ordinal first; /* to the first of the next */
	size_t length; /* of each batch */
	size_t off;    /* of the first in the text */
};

struct backend_sql {
	const struct snapshot *v;
	slot model;
	struct ordinal_range batches; /* empty: the head is all */
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

static int measure(const struct backend_sql *s, ordinal batch, size_t *length)
{
	auto_strbuf text = STRBUF_INIT;
	int r = render_batch(s, batch, &text);
	*length = r < 0 ? 0 : text.len - s->head.len;
	return r;
}

static int add_stretch(struct backend_sql *s, ordinal first, ordinal last, size_t length)
{
	bool same = s->n && s->stretches[s->n - 1].length == length;
	if (!same && s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 4;
		struct stretch *more = realloc(s->stretches, room * sizeof *more);
		if (!more)
			return -ENOMEM;
		s->stretches = more;
		s->room = room;
	}
	if (!same)
		s->stretches[s->n++] = (struct stretch){first, length, s->size};
	s->size += length * (last - first + 1);
	return 0;
}

/* first and last are measured. */
static int find_stretches(struct backend_sql *s, ordinal first, size_t first_length, ordinal last,
			  size_t last_length)
{
	ordinal middle = first + (last - first) / 2;
	size_t length, next;
	int r = measure(s, middle, &length);
	if (r < 0)
		return r;
	if (first_length == last_length && length == first_length)
		return add_stretch(s, first, last, length);
	if (first == last)
		return add_stretch(s, first, first, first_length);
	r = measure(s, middle + 1, &next);
	if (r == 0)
		r = find_stretches(s, first, first_length, middle, length);
	return r < 0 ? r : find_stretches(s, middle + 1, next, last, last_length);
}

static int measure_all(struct backend_sql *s)
{
	size_t first = 0, last = 0;
	int r = render(s, (struct ordinal_range){s->batches.first, s->batches.first}, &s->head);
	if (r < 0)
		return r;
	s->size = s->head.len;
	r = measure(s, s->batches.first, &first);
	if (r == 0)
		r = measure(s, s->batches.end - 1, &last);
	return r < 0 ? r : find_stretches(s, s->batches.first, first, s->batches.end - 1, last);
}

int backend_sql_open(const struct backend *b, slot model, struct ordinal_range batches, struct backend_sql **out)
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

int backend_sql_read(const struct backend_sql *s, size_t off, size_t size, struct strbuf *out)
{
	auto_strbuf text = STRBUF_INIT;
	size_t end = off > s->size || s->size - off < size ? s->size : off + size;
	if (off < s->head.len)
		add_slice(out, s->head.str, s->head.len, 0, off, end);
	for (size_t i = 0; i < s->n; i++) {
		const struct stretch *t = &s->stretches[i];
		ordinal last = i + 1 < s->n ? s->stretches[i + 1].first : s->batches.end;
		size_t skipped = off > t->off ? (off - t->off) / t->length : 0;
		for (size_t k = skipped; k < last - t->first && t->off + k * t->length < end; k++) {
			int r = render_batch(s, t->first + (ordinal)k, &text);
			if (r < 0)
				return r;
			if (text.len - s->head.len != t->length)
				return -ESTALE;
			add_slice(out, text.str + s->head.len, t->length, t->off + k * t->length, off, end);
		}
	}
	if (!is_current(s))
		return -ESTALE;
	return strbuf_broken(out) ? -ENOMEM : 0;
}

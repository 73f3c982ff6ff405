/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All but the windows is one text, which is written as a whole. Behind some of its bytes stand the windows of
 * a list, each as long as the next one, so that the place of an offset is known without making what is
 * before.
 */
#include "backend/report/run_results.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/base/count.h"
#include "backend/report/writer.h"

#define SCHEMA	   "https://schemas.getdbt.com/dbt/run-results/v6.json"
#define INDENT	   10 /* of a window: in an array in an object in an object in an array in an object */
#define WINDOW_LEN (sizeof ",\n          [\"2024-09-01T00:00:00+00:00\", \"2024-09-02T00:00:00+00:00\"]" - 1)

struct list {
	enum batch_size size;
	struct batch_set batches; /* owned; not empty */
	size_t text;		  /* how many bytes of the text stand before it */
	size_t off;		  /* where it begins in the whole */
};

struct run_results {
	struct strbuf text;
	struct writer w;
	struct list *lists;
	size_t n, room;
	size_t windows; /* bytes of all lists so far */
	int64_t us;	/* that all builds took */
	/* What failed of the models of which nothing is built: us; start is INT64_MAX while there is none. */
	int64_t start, end;
	const char *target;
};

struct run_results *run_results_new(const struct run_results_head *head)
{
	struct run_results *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	*r = (struct run_results){.text = STRBUF_INIT, .start = INT64_MAX, .target = head->target};
	r->w = (struct writer){.out = &r->text};
	write_open(&r->w, NULL, '{');
	write_open(&r->w, "metadata", '{');
	write_text(&r->w, "dbt_schema_version", SCHEMA);
	if (*head->dbt_version)
		write_text(&r->w, "dbt_version", head->dbt_version);
	write_instant(&r->w, "generated_at", head->now);
	write_null(&r->w, "invocation_id");
	write_open(&r->w, "env", '{');
	write_close(&r->w, '}');
	write_close(&r->w, '}');
	write_open(&r->w, "results", '[');
	return r;
}

void run_results_free(struct run_results *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->n; i++)
		batch_set_fini(&r->lists[i].batches);
	free(r->lists);
	strbuf_fini(&r->text);
	free(r);
}

/* The first window has no comma before it. */
static size_t length_of(const struct list *l)
{
	return l->batches.n * WINDOW_LEN - 1;
}

static int write_windows(struct run_results *r, const char *key, const struct model *m,
			 const struct batch_set *batches)
{
	write_open(&r->w, key, '[');
	if (batches->n && r->n == r->room) {
		size_t room = r->room ? 2 * r->room : 16;
		struct list *more = realloc(r->lists, room * sizeof *more);
		if (!more)
			return -ENOMEM;
		r->lists = more;
		r->room = room;
	}
	if (batches->n) {
		struct list *l = &r->lists[r->n];
		*l = (struct list){
			.size = m->batch_size, .text = r->text.len, .off = r->text.len + r->windows};
		if (batch_set_copy(&l->batches, batches) < 0)
			return -ENOMEM;
		r->n++;
		r->windows += length_of(l);
		r->w.empty = false;
	}
	write_close(&r->w, ']');
	return 0;
}

static void write_timing(struct writer *w, const struct report_outcomes *o)
{
	write_open(w, "timing", '[');
	if (o->started && o->finished) {
		write_open(w, NULL, '{');
		write_text(w, "name", "execute");
		write_instant(w, "started_at", o->started);
		write_instant(w, "completed_at", o->finished);
		write_close(w, '}');
	}
	write_close(w, ']');
}

static void write_message(struct writer *w, const struct run_result *one)
{
	const struct report_outcomes *o = one->outcomes;
	auto_strbuf text = STRBUF_INIT;
	char name[CALENDAR_NAME_MAX];
	size_t failed = o->failed.n - o->skipped, n = failed ? failed : o->skipped;
	if (!n) {
		write_text(w, "message", "SUCCESS");
		return;
	}
	calendar_name(one->model->batch_size, o->first_failed, name);
	strbuf_printf(&text, "%zu of %s %s%s, the first one is %s%s%s", n,
		      count_of(o->failed.n + o->successful.n, "batch", "batches").text,
		      failed   ? "failed"
		      : n == 1 ? "was"
			       : "were",
		      failed ? "" : " skipped", name, *one->message ? ": " : "", one->message);
	write_text(w, "message", text.str);
}

/* dbt's retry is told no windows of such a model, because it might have to make the table. */
static void span(struct run_results *r, const struct run_result *one)
{
	const struct batch_set *failed = &one->outcomes->failed;
	enum batch_size size = one->model->batch_size;
	if (!failed->n || one->outcomes->successful.n)
		return;
	int64_t start = calendar_start(size, batch_set_nth(failed, 0));
	int64_t end = calendar_start(size, batch_set_nth(failed, failed->n - 1) + 1);
	r->start = start < r->start ? start : r->start;
	r->end = end > r->end ? end : r->end;
}

int run_results_add(struct run_results *r, const struct run_result *one)
{
	const struct report_outcomes *o = one->outcomes;
	const struct model *m = one->model;
	struct writer *w = &r->w;
	if (!o->successful.n && !o->failed.n)
		return 0;
	write_open(w, NULL, '{');
	write_text(w, "status", o->failed.n > o->skipped ? "error" : o->failed.n ? "skipped" : "success");
	write_timing(w, o);
	write_text(w, "thread_id", "batchfs");
	write_seconds(w, "execution_time", o->us);
	write_open(w, "adapter_response", '{');
	write_int(w, "rows_affected", o->rows);
	write_close(w, '}');
	write_message(w, one);
	write_null(w, "failures");
	write_text(w, "unique_id", m->unique_id);
	write_bool(w, "compiled", m->compiled != NULL);
	write_null(w, "compiled_code");
	write_text(w, "relation_name", m->relation.rendered);
	write_open(w, "batch_results", '{');
	int err = write_windows(r, "successful", m, &o->successful);
	if (err == 0)
		err = write_windows(r, "failed", m, &o->failed);
	write_close(w, '}');
	write_close(w, '}');
	r->us += o->us;
	span(r, one);
	return err;
}

/* As dbt writes it: without a zone. */
static void write_event_time(struct writer *w, const char *key, int64_t us)
{
	char text[CALENDAR_TIME_MAX];
	size_t len = calendar_format_time(us, text);
	text[len - 1] = '\0';
	write_text(w, key, text);
}

int run_results_end(struct run_results *r)
{
	struct writer *w = &r->w;
	write_close(w, ']');
	write_seconds(w, "elapsed_time", r->us);
	write_open(w, "args", '{');
	write_text(w, "which", "run");
	if (r->target)
		write_text(w, "target", r->target);
	if (r->start < r->end) {
		write_event_time(w, "event_time_start", r->start);
		write_event_time(w, "event_time_end", r->end);
	}
	write_close(w, '}');
	write_close(w, '}');
	write_end(w);
	return strbuf_broken(&r->text) ? -ENOMEM : 0;
}

size_t run_results_size(const struct run_results *r)
{
	return r->text.len + r->windows;
}

/* With the comma before it, and a NUL. */
static void window(enum batch_size size, ordinal batch, char text[WINDOW_LEN + 1])
{
	char times[2][CALENDAR_TIME_MAX];
	for (ordinal i = 0; i < 2; i++)
		calendar_format_time(calendar_start(size, batch + i), times[i]);
	/* Without the Z. */
	snprintf(text, WINDOW_LEN + 1, ",\n%*s[\"%.19s+00:00\", \"%.19s+00:00\"]", INDENT, "", times[0],
		 times[1]);
}

/* What lies in [off, end) of the whole. */
static void read_list(const struct list *l, size_t off, size_t end, struct strbuf *out)
{
	size_t all = l->off + length_of(l);
	if (end <= l->off || off >= all)
		return;
	/* As if the first window had a comma, too, which nobody reads. */
	size_t begin = l->off - 1, from = off > l->off ? off : l->off, to = end < all ? end : all;
	size_t i = (from - begin) / WINDOW_LEN;
	ordinal next = batch_set_nth(&l->batches, i);
	for (; begin + i * WINDOW_LEN < to; i++) {
		char text[WINDOW_LEN + 1];
		struct ordinal_range found = batch_set_next(&l->batches, next);
		window(l->size, found.first, text);
		strbuf_add_slice(out, text, WINDOW_LEN, begin + i * WINDOW_LEN, from, to);
		next = found.first + 1;
	}
}

void run_results_read(const struct run_results *r, size_t off, size_t end, struct strbuf *out)
{
	size_t text = 0, at = 0;
	for (size_t i = 0; i < r->n && at < end; i++) {
		const struct list *l = &r->lists[i];
		strbuf_add_slice(out, r->text.str + text, l->text - text, at, off, end);
		read_list(l, off, end, out);
		text = l->text;
		at = l->off + length_of(l);
	}
	strbuf_add_slice(out, r->text.str + text, r->text.len - text, at, off, end);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/look.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/dbt/chunk.h"
#include "backend/dbt/worker.h"

static int by_number(const void *a, const void *b)
{
	ordinal x = *(const ordinal *)a, y = *(const ordinal *)b;
	return x < y ? -1 : x > y;
}

/* The only value of a row: some warehouses write names in upper case. */
static const char *value_of(const json_t *row)
{
	void *at = json_object_iter((json_t *)row);
	return at ? json_string_value(json_object_iter_value(at)) : NULL;
}

static int read_rows(const json_t *rows, enum batch_size size, struct found_batches *out, struct error *err)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *text = value_of(row);
		int64_t us;
		int32_t offset_s;
		if (text && strcmp(text, "missing") == 0) {
			out->there = false;
			continue;
		}
		if (!text || !calendar_parse_time(text, &us, &offset_s))
			return error_set(err, EINVAL,
					 "dbt shows \"%.60s\" as the hour of an event_time, which is no time",
					 text ? text : "");
		out->list[out->n++] = calendar_ordinal(size, us - offset_s * INT64_C(1000000));
	}
	return 0;
}

int shown_batches(const char *rows, enum batch_size size, struct found_batches *out, struct error *err)
{
	json_t *list = json_loads(rows, 0, NULL);
	*out = (struct found_batches){.there = true};
	if (!json_is_array(list)) {
		json_decref(list);
		return error_set(err, EINVAL, "dbt shows no rows, but \"%.60s\"", rows);
	}
	out->list = calloc(json_array_size(list) + 1, sizeof *out->list);
	int r = out->list ? read_rows(list, size, out, err) : error_set(err, ENOMEM, "no memory");
	json_decref(list);
	if (r < 0)
		return r;
	qsort(out->list, out->n, sizeof *out->list, by_number);
	size_t kept = 0;
	for (size_t i = 0; i < out->n; i++)
		if (!kept || out->list[i] != out->list[kept - 1])
			out->list[kept++] = out->list[i];
	out->n = kept;
	return 0;
}

/* What is kept of the events. */
struct showing {
	char *rows;
	char error[900];
};

static bool take_event(void *ctx, const struct event *e)
{
	struct showing *s = ctx;
	if (e->kind == EVENT_SHOWN && !s->rows)
		s->rows = strdup(e->text);
	else if (e->kind == EVENT_ERROR)
		snprintf(s->error, sizeof s->error, "%s", e->text);
	return true;
}

/* Runs dbt; *rows is to be freed. */
static int show(struct worker *w, const struct model *m, char **rows, struct error *err)
{
	auto_words words = {0};
	struct showing s = {0};
	struct invocation i = {.words = &words, .m = m, .event = take_event, .ctx = &s};
	int r = dbt_place(w, err);
	if (r == 0) {
		words_look(&words, &w->store->config, w->dir, m);
		r = dbt_invoke(w, &i, err);
	}
	*rows = s.rows;
	if (r == 0 && i.interrupted)
		return error_set(err, ECANCELED, "interrupted");
	if (r < 0 || (i.code == 0 && s.rows))
		return r;
	const char *why = *s.error ? s.error : *w->said ? w->said : "it does not say why";
	return error_set(err, error_may_pass(why) ? EBUSY : EIO, "dbt cannot look at %s: %s",
			 m->relation.rendered, why);
}

/* -o ro: what is recorded, and over that what dbt shows; nothing is written down. */
static int report_only(struct worker *w, sqlite3 *db, slot model, const struct found_batches *found,
		       const struct store_sink *sink, struct error *err)
{
	static const struct done_rows none = {0};
	sink->forget(sink->ctx, model);
	for (size_t i = 0; i < found->n; i++) {
		struct store_state s =
			adopted_state(model, found->list[i], clock_now_us(w->store->config.clock));
		sink->state(sink->ctx, &s);
	}
	int r = queue_load_states(w->store, db, &none, model, sink, err);
	sink->told(sink->ctx, model);
	return r;
}

static int record(struct worker *w, slot model, enum look_kind kind, const struct found_batches *found,
		  int64_t began, const struct store_sink *sink, struct error *err)
{
	const struct queue_found what = {
		.batches = found->list, .n = found->n, .there = found->there, .began = began};
	sqlite3 *db = NULL;
	int r = queue_connect(w->store, &w->patience, &db, err);
	if (r == 0 && !w->store->config.read_only)
		r = queue_adopt(w->store, db, model, kind, &what, sink, err);
	else if (r == 0 && kind == LOOK_FIRST)
		r = report_only(w, db, model, found, sink, err);
	sqlite3_close(db);
	return r;
}

int dbt_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
	     struct error *err)
{
	struct found_batches found = {0};
	auto_free char *rows = NULL;
	int64_t began = clock_now_us(w->store->config.clock);
	int r = dbt_enter(w, err);
	const struct model *m = dbt_model(w, model);
	if (r == 0)
		r = show(w, m, &rows, err);
	if (r == 0)
		r = shown_batches(rows, m->batch_size, &found, err);
	if (r == 0)
		r = record(w, model, kind, &found, began, sink, err);
	free(found.list);
	model_drop(m);
	dbt_leave(w);
	return r;
}

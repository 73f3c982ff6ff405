/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/look.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/base/cleanup.h"
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

static int read_rows(const json_t *rows, enum batch_size size, struct found_windows *out, struct error *err)
{
	size_t i;
	json_t *row;
	json_array_foreach(rows, i, row)
	{
		const char *text = value_of(row);
		int64_t us;
		if (text && strcmp(text, "missing") == 0) {
			out->there = false;
			continue;
		}
		if (!text || !calendar_parse_instant(text, &us))
			return error_set(err, EINVAL,
					 "dbt shows \"%.60s\" as the hour of an event_time, which is no time",
					 text ? text : "");
		out->batches[out->n++] = calendar_ordinal(size, us);
	}
	return 0;
}

void found_sort(struct found_windows *found)
{
	size_t kept = 0;
	if (!found->n)
		return;
	qsort(found->batches, found->n, sizeof *found->batches, by_number);
	for (size_t i = 0; i < found->n; i++)
		if (!kept || found->batches[i] != found->batches[kept - 1])
			found->batches[kept++] = found->batches[i];
	found->n = kept;
}

int shown_batches(const char *rows, enum batch_size size, struct found_windows *out, struct error *err)
{
	json_t *list = json_loads(rows, 0, NULL);
	*out = (struct found_windows){.there = true};
	if (!json_is_array(list)) {
		json_decref(list);
		return error_set(err, EINVAL, "dbt shows no rows, but \"%.60s\"", rows);
	}
	out->batches = calloc(json_array_size(list) + 1, sizeof *out->batches);
	int r = out->batches ? read_rows(list, size, out, err) : error_set(err, ENOMEM, "no memory");
	json_decref(list);
	if (r == 0)
		found_sort(out);
	return r;
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
static int show(struct guest_worker *w, const struct model *m, char **rows, struct error *err)
{
	auto_words words = {0};
	struct showing s = {0};
	struct invocation i = {.words = &words, .m = m, .event = take_event, .ctx = &s};
	int r = dbt_place(w, err);
	if (r == 0) {
		words_look(&words, &w->home->config, w->dir, m);
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

int dbt_find(struct guest_worker *w, const struct model *m, struct found_windows *out, struct error *err)
{
	auto_free char *rows = NULL;
	int64_t began = clock_now_us(w->home->config.clock);
	int r = dbt_enter(w, err);
	if (r == 0)
		r = show(w, m, &rows, err);
	if (r == 0)
		r = shown_batches(rows, m->batch_size, out, err);
	if (r == 0)
		out->began = began;
	dbt_leave(w);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What .status says besides the counts: how far the table is built, what runs, what failed last. */
#include "backend/report/json.h"

/*
 * Puts the mark where it belongs in a list of at most `max`. before() says whether the first of two stands
 * before the second.
 */
static void keep(struct report_mark *list, size_t *n, size_t max, struct report_mark mark,
		 bool (*before)(const struct report_mark *a, const struct report_mark *b))
{
	size_t at = *n;
	while (at > 0 && before(&mark, &list[at - 1]))
		at--;
	if (at == max)
		return;
	if (*n < max)
		++*n;
	for (size_t i = *n - 1; i > at; i--)
		list[i] = list[i - 1];
	list[at] = mark;
}

static bool earlier(const struct report_mark *a, const struct report_mark *b)
{
	return a->at < b->at;
}

static bool later(const struct report_mark *a, const struct report_mark *b)
{
	return a->at > b->at;
}

/*
 * Whether all rows of the batch's window are in the table. While the batch is built once more, the rows of
 * the former build are.
 */
static bool is_built(const struct model *m, ordinal batch, const struct batch_info *info)
{
	switch (info->state) {
	case BATCH_DONE:
	case BATCH_STALE:
		return true;
	case BATCH_QUEUED:
	case BATCH_RUNNING:
		return info->built >= calendar_start(m->batch_size, batch + 1);
	case BATCH_FAILED:
	case BATCH_SKIPPED:
	case BATCH_UNKNOWN:
	case BATCH_PENDING:
	case BATCH_PARTIAL:
	case BATCH_STATES:
		break;
	}
	return false;
}

void report_note(struct report_standing *s, slot of, const struct model *m, ordinal batch,
		 const struct batch_info *info)
{
	if (!s->gap) {
		bool unknown = info->state == BATCH_UNKNOWN;
		s->gap = !is_built(m, batch, info);
		s->built_until = unknown ? 0 : calendar_start(m->batch_size, s->gap ? batch : batch + 1);
	}
	if (info->state == BATCH_RUNNING)
		keep(s->running, &s->n_running, REPORT_RUNNING,
		     (struct report_mark){.of = of, .model = m, .batch = batch, .at = info->started},
		     earlier);
	if (info->state == BATCH_FAILED && (!s->oldest_failure || info->finished < s->oldest_failure))
		s->oldest_failure = info->finished;
	if (info->state == BATCH_FAILED)
		keep(s->failures, &s->n_failures, REPORT_FAILURES,
		     (struct report_mark){.of = of, .model = m, .batch = batch, .at = info->finished}, later);
}

void report_note_all(struct report_standing *into, const struct report_standing *from)
{
	if (!from->not_here && from->built_until &&
	    (!into->built_until || from->built_until < into->built_until))
		into->built_until = from->built_until;
	for (size_t i = 0; i < from->n_running; i++)
		keep(into->running, &into->n_running, REPORT_RUNNING, from->running[i], earlier);
	for (size_t i = 0; i < from->n_failures; i++)
		keep(into->failures, &into->n_failures, REPORT_FAILURES, from->failures[i], later);
}

static json_t *entry(const struct report_mark *mark, const char *when, bool named)
{
	json_t *o = json_object();
	if (o && named)
		json_object_set_new(o, "model", json_string(mark->model->dir));
	if (o) {
		json_object_set_new(o, "batch", json_name(mark->model, mark->batch));
		json_object_set_new(o, when, json_time(mark->at));
	}
	return o;
}

static json_t *running(const struct report_standing *s, bool named)
{
	json_t *array = json_array();
	for (size_t i = 0; array && i < s->n_running; i++)
		json_array_append_new(array, entry(&s->running[i], "since", named));
	return array;
}

static json_t *last_failures(const struct report_standing *s, bool named, const struct report_source *source)
{
	json_t *array = json_array();
	for (size_t i = 0; array && i < s->n_failures; i++) {
		struct batch_info info;
		json_t *o = entry(&s->failures[i], "at", named);
		source->info(source->ctx, s->failures[i].of, s->failures[i].batch, &info);
		if (o) {
			json_object_set_new(o, "sqlstate", json_text(info.sqlstate));
			json_object_set_new(o, "message", json_text(info.message));
		}
		json_array_append_new(array, o);
	}
	return array;
}

void json_standing(json_t *o, const struct report_standing *s, bool named, const struct report_source *source)
{
	int64_t lag = source->now > s->built_until ? source->now - s->built_until : 0;
	if (!o)
		return;
	json_object_set_new(o, "built_until", json_time(s->built_until));
	/* The lag changes with every look. In whole seconds it seldom changes the document's size as well. */
	json_object_set_new(o, "lag",
			    s->built_until && !s->not_here ? json_integer(lag / 1000000) : json_null());
	json_object_set_new(o, "running", running(s, named));
	json_object_set_new(o, "last_failures", last_failures(s, named, source));
}

int report_status(const struct report_summary *s, const struct report_standing *standing,
		  const struct model *m, struct report_frozen *frozen, const struct report_refusal *refusal,
		  const struct report_source *source, struct strbuf *out)
{
	json_t *o = json_summary(s, m, frozen, refusal);
	json_standing(o, standing, false, source);
	return json_finish(o, out);
}

int report_selection(const struct report_summary *s, const struct report_standing *standing,
		     const struct model *m, struct report_frozen *frozen,
		     const struct report_refusal *refusal, const struct report_source *source,
		     const struct report_not_rebuilt *not_rebuilt, size_t n_not_rebuilt, struct strbuf *out)
{
	json_t *o = json_summary(s, m, frozen, refusal), *names = json_object();
	if (standing)
		json_standing(o, standing, true, source);
	for (size_t i = 0; names && i < n_not_rebuilt; i++)
		json_object_set_new(names, not_rebuilt[i].name, json_text(not_rebuilt[i].why));
	if (o && names && json_object_set_new(o, "not_rebuilt", names) == 0)
		return json_finish(o, out);
	json_decref(o);
	return -ENOMEM;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/report/json.h"

void report_count_build(struct report_summary *s, ordinal batch, const struct batch_info *info,
			const char *reason)
{
	enum batch_state state;
	if (s->build == 0 || batch < s->first)
		s->first = batch;
	if (s->build == 0 || batch > s->last)
		s->last = batch;
	s->build++;
	if (batch_state_parse(reason, strlen(reason), &state))
		s->why[state]++;
	else if (strcmp(reason, "lookback") == 0)
		s->why_lookback++;
	else
		s->why_asked++;
	if (info->rows_inserted >= 0 && info->finished >= info->started && !info->adopted) {
		s->known++;
		s->known_rows += info->rows_inserted;
		s->known_us += info->finished - info->started;
	}
}

void report_count(struct report_summary *s, ordinal batch, const struct batch_info *info, const char *reason)
{
	s->batches++;
	s->states[info->state]++;
	if (info->state == BATCH_FAILED) {
		if (s->states[BATCH_FAILED] == 1)
			s->first_failed = batch;
		s->last_failed = batch;
	}
	if (info->finished > s->last_finished)
		s->last_finished = info->finished;
	if (reason)
		report_count_build(s, batch, info, reason);
}

void report_merge(struct report_summary *into, const struct report_summary *from)
{
	into->batches += from->batches;
	into->build += from->build;
	into->known += from->known;
	into->known_rows += from->known_rows;
	into->known_us += from->known_us;
	into->why_lookback += from->why_lookback;
	into->why_asked += from->why_asked;
	into->unlooked |= from->unlooked;
	for (int i = 0; i < BATCH_STATES; i++) {
		into->states[i] += from->states[i];
		into->why[i] += from->why[i];
	}
	if (from->last_finished > into->last_finished)
		into->last_finished = from->last_finished;
}

static json_t *states(const struct report_summary *s)
{
	json_t *o = json_object();
	for (int i = 0; o && i < BATCH_STATES; i++)
		json_object_set_new(o, batch_state_name((enum batch_state)i),
				    json_integer((json_int_t)s->states[i]));
	return o;
}

static json_t *why(const struct report_summary *s)
{
	json_t *o = json_object();
	for (int i = 0; o && i < BATCH_STATES; i++)
		if (s->why[i])
			json_object_set_new(o, batch_state_name((enum batch_state)i),
					    json_integer((json_int_t)s->why[i]));
	if (o && s->why_lookback)
		json_object_set_new(o, "lookback", json_integer((json_int_t)s->why_lookback));
	if (o && s->why_asked)
		json_object_set_new(o, "requested", json_integer((json_int_t)s->why_asked));
	return o;
}

json_t *json_would_build(const struct report_summary *s, const struct model *m)
{
	bool named = m && s->build;
	if (s->unlooked)
		return json_null();
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "batches", (json_int_t)s->build, "rows",
			 json_count(s->expected.rows), "seconds",
			 s->expected.us < 0 ? json_null() : json_seconds(s->expected.us), "first",
			 named ? json_name(m, s->first) : json_null(), "last",
			 named ? json_name(m, s->last) : json_null(), "why", why(s));
}

void report_frozen_add(struct report_frozen *f, const struct model *m, ordinal batch)
{
	if (f->n == f->size) {
		size_t size = f->size ? 2 * f->size : 16;
		struct report_cause *list = realloc(f->list, size * sizeof *list);
		if (!list) {
			f->broken = true;
			return;
		}
		f->list = list;
		f->size = size;
	}
	f->list[f->n++] = (struct report_cause){m, batch};
}

void report_frozen_fini(struct report_frozen *f)
{
	free(f->list);
}

json_t *json_frozen(struct report_frozen *f, const struct model *m)
{
	json_t *names = f->broken ? NULL : json_array();
	size_t i = m ? f->named : 0;
	for (; names && i < f->n && (!m || f->list[i].model == m); i++) {
		const struct report_cause *c = &f->list[i];
		char name[CALENDAR_NAME_MAX];
		calendar_name(c->model->batch_size, c->batch, name);
		json_array_append_new(names,
				      m ? json_string(name) : json_sprintf("%s/%s", c->model->dir, name));
	}
	if (m)
		f->named = i;
	return names;
}

json_t *json_summary(const struct report_summary *s, const struct model *m, struct report_frozen *frozen,
		     const struct report_refusal *refusal)
{
	bool failed = m && s->states[BATCH_FAILED];
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "batches", (json_int_t)s->batches,
			 "states", states(s), "would_build", json_would_build(s, m), "first_failed",
			 failed ? json_name(m, s->first_failed) : json_null(), "last_failed",
			 failed ? json_name(m, s->last_failed) : json_null(), "frozen",
			 json_frozen(frozen, m), "last_finished_at", json_time(s->last_finished),
			 "last_refusal", json_refusal(refusal));
}

int report_range(const struct report_summary *s, const struct model *m, struct report_frozen *frozen,
		 const struct report_refusal *refusal, struct strbuf *out)
{
	return json_finish(json_summary(s, m, frozen, refusal), out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Everything recorded of the enlisted models, once: cursors over one snapshot, so in constant memory. */
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/refresh.h"
#include "backend/postgres/sql.h"
#include "backend/postgres/validations.h"

#define FETCH "fetch 5000 from batchfs_load"
#define CLOSE "close batchfs_load"

static void states_of_all(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	report_states(s, r, sink, false);
}

static void states_of_others(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	report_states(s, r, sink, true);
}

static int begin(struct store *s, struct error *err)
{
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	store_begin_snapshot(s, &p);
	size_t snapshot = pg_add(&p, SQL_SNAPSHOT, NULL);
	int r = store_run(s, &p, err);
	if (r)
		return r;
	free(s->cursor);
	s->cursor = strdup(pg_text(p.results[snapshot], 0, 0));
	return s->cursor ? 0 : error_set(err, ENOMEM, "no memory to load states");
}

static int stream(struct store *s, const char *sql, const struct pg_params *params, report_states_fn *report,
		  const struct store_sink *sink, struct error *err)
{
	auto_result *declared = NULL, *closed = NULL;
	int r = pg_query(&s->control, pg_deadline(s), sql, params, &declared, err);
	for (int rows = 1; rows > 0 && !r;) {
		auto_result *some = NULL;
		r = pg_query(&s->control, pg_deadline(s), FETCH, NULL, &some, err);
		if (r)
			break;
		rows = PQntuples(some);
		report(s, some, sink);
	}
	return r ? r : pg_query(&s->control, pg_deadline(s), CLOSE, NULL, &closed, err);
}

static int load_of(struct store *s, const struct strbuf *ids, const struct store_sink *sink,
		   report_states_fn *report, struct error *err)
{
	LOCKED(&s->telling);
	int r = store_connect(s, true, err);
	if (!r)
		r = begin(s, err);
	if (r)
		return r;
	if (strbuf_broken(ids))
		return error_set(err, ENOMEM, "no memory to load states");
	struct pg_params params = {0};
	pg_param_text(&params, ids->str);
	auto_result *frozen = NULL, *known = NULL, *validations = NULL;
	r = pg_query(&s->control, pg_deadline(s), SQL_LOAD_FREEZES, &params, &frozen, err);
	if (!r)
		r = report_freezes(s, frozen, sink, err);
	if (!r)
		r = stream(s, SQL_LOAD_REQUESTS, &params, report_requests, sink, err);
	if (!r)
		r = pg_query(&s->control, pg_deadline(s), SQL_LOAD_KNOWN, &params, &known, err);
	if (!r)
		report_known(s, known, 0, 1, 2, sink);
	if (!r)
		r = refreshes_load(s, &params, sink, err);
	if (!r)
		r = stream(s, SQL_LOAD_ANSWERS, &params, report_answers, sink, err);
	if (!r)
		r = stream(s, SQL_LOAD_STATES, &params, report, sink, err);
	if (!r)
		r = pg_query(&s->control, pg_deadline(s), SQL_LOAD_VALIDATIONS, &params, &validations, err);
	if (!r)
		report_validations(s, validations, sink);
	auto_result *done = NULL;
	return r ? r : pg_query(&s->control, pg_deadline(s), "commit", NULL, &done, err);
}

int load_all(struct store *s, const struct store_sink *sink, report_states_fn *report, struct error *err)
{
	auto_strbuf ids = STRBUF_INIT;
	bool some = ids_of_all(s, &ids);
	return s->schema && some ? load_of(s, &ids, sink, report, err) : 0;
}

/* News are read on from where they were read to: what is new here may be heard of twice. */
static int load_more(struct store *s, const struct strbuf *ids, const struct store_sink *sink,
		     struct error *err)
{
	char *cursor = steal(&s->cursor);
	int r = load_of(s, ids, sink, states_of_others, err);
	free(s->cursor);
	s->cursor = cursor;
	return r;
}

int pg_load(struct store *s, const struct store_sink *sink, struct error *err)
{
	auto_strbuf ids = STRBUF_INIT;
	bool some = false;
	int r = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (!s->models[i]->id || s->models[i]->loaded)
			continue;
		if (s->models[i]->anew)
			sink->forget(sink->ctx, (slot)i);
		pg_array_int(&ids, s->models[i]->id);
		some = true;
	}
	pg_array_end(&ids);
	if (s->schema && some)
		r = s->cursor ? load_more(s, &ids, sink, err) : load_of(s, &ids, sink, states_of_all, err);
	for (size_t i = 0; i < s->n; i++)
		if (s->models[i]->id && !s->models[i]->loaded && s->models[i]->anew)
			sink->told(sink->ctx, (slot)i);
	for (size_t i = 0; i < s->n && !r; i++) {
		struct pg_model *m = s->models[i];
		if (!m->loaded)
			m->loaded_begin = m->model->begin;
		m->anew = false;
		m->loaded = m->loaded || m->id;
	}
	if (!s->read_at)
		s->read_at = clock_now_us(s->config->clock);
	return r;
}

int load_again(struct store *s, const struct store_sink *sink, struct error *err)
{
	log_info(s->config->log, "news of the last hour may be forgotten already: all states are read again");
	/* News of before it, adoptions among them, are still to come; hearing them twice does no harm. */
	char *cursor = steal(&s->cursor);
	int r = load_all(s, sink, states_of_others, err);
	free(s->cursor);
	s->cursor = cursor;
	return r;
}

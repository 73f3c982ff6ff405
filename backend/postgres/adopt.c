/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target that somebody else has built: the batches whose window holds rows are done.
 * The pass over the table comes first and holds nothing; then one short transaction.
 */
#include <string.h>

#include "backend/postgres/look.h"
#include "backend/postgres/sql.h"

static void report_found(struct store *s, const struct pg_model *m, const PGresult *windows, int64_t now,
			 const struct store_sink *sink)
{
	sink->forget(sink->ctx, m->index);
	for (int row = 0; windows && row < PQntuples(windows); row++) {
		ordinal batch = calendar_ordinal(m->model->batch_size, pg_int(windows, row, 0));
		struct store_state state = adopted_state(m->index, batch, now);
		sink->state(sink->ctx, &state);
	}
	sink->told(sink->ctx, m->index);
}

/* What was built into the former table, and is not in this one. */
static int tell_gone(struct worker *w, struct pg_pipe *p, const struct pg_model *m, const PGresult *lost,
		     int64_t now, struct error *err)
{
	int n = PQntuples(lost);
	auto_free struct found_batch *gone = calloc((size_t)n + 1, sizeof *gone);
	if (!gone)
		return error_set(err, ENOMEM, "no memory for the batches of %s", m->target);
	for (int row = 0; row < n; row++)
		gone[row] =
			(struct found_batch){calendar_ordinal(m->model->batch_size, pg_time(lost, row, 0)),
					     (uint32_t)pg_int(lost, row, 1)};
	pg_told_add(p, m, w->store->owner, "gone", now, gone, (size_t)n);
	return 0;
}

static int tell_adopted(struct worker *w, struct pg_pipe *p, const struct pg_model *m,
			const PGresult *windows, int64_t now, struct error *err)
{
	int n = windows ? PQntuples(windows) : 0;
	auto_free struct found_batch *found = calloc((size_t)n + 1, sizeof *found);
	if (!found)
		return error_set(err, ENOMEM, "no memory for the batches of %s", m->target);
	for (int row = 0; row < n; row++)
		found[row].batch = calendar_ordinal(m->model->batch_size, pg_int(windows, row, 0));
	pg_told_add(p, m, w->store->owner, "adopted", now, found, (size_t)n);
	return 0;
}

/* starts: an array of those that hold rows. *gone: how many were built into the former table and hold none.
 */
static int write_down(struct worker *w, const struct pg_model *m, const struct pg_shape *shape,
		      const PGresult *windows, const struct strbuf *starts, int64_t now, size_t *gone,
		      struct error *err)
{
	struct pg_params model = {0}, found = {0}, states = {0}, known = {0}, feed = {0};
	pg_param_int(&model, pg_id(m));
	pg_param_int(&found, pg_id(m));
	pg_param_text(&found, starts->str);
	pg_param_int(&states, pg_id(m));
	pg_param_text(&states, starts->str);
	pg_param_time(&states, now);
	pg_param_int(&known, pg_id(m));
	pg_param_int(&known, shape->oid);
	pg_param_time(&known, now);
	pg_param_int(&feed, pg_id(m));
	pg_param_int(&feed, w->store->owner);
	pg_param_time(&feed, now);
	auto_result *lost = NULL;
	int r = pg_query(&w->conn, PG_NO_DEADLINE, SQL_ADOPT_LOST, &found, &lost, err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	pg_add(&p, SQL_ADOPT_FORGET, &model);
	pg_add(&p, SQL_ADOPT_BLANK, &model);
	pg_add(&p, SQL_ADOPT_UNSKIP, &model);
	pg_add(&p, SQL_ADOPT_STATES, &states);
	pg_add(&p, SQL_ADOPT_RECORD, &known);
	pg_add(&p, SQL_ADOPT_TELL, &feed);
	*gone = (size_t)PQntuples(lost);
	r = tell_gone(w, &p, m, lost, now, err);
	if (!r)
		r = tell_adopted(w, &p, m, windows, now, err);
	pg_add(&p, "commit", NULL);
	return r ? r : pg_run(&p, err);
}

/* Locks the model against requests and claims. *done: the states are of this very table already (of none,
 * where there is none): another mount has adopted it meanwhile. */
static int lock_model(struct worker *w, const struct pg_model *m, const struct pg_shape *shape, bool *done,
		      struct error *err)
{
	struct pg_params known = {0};
	pg_param_int(&known, pg_id(m));
	pg_param_int(&known, shape->oid);
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	store_begin(w->store, &p);
	size_t locked = pg_add(&p, SQL_ADOPT_LOCK, &known);
	int r = store_run(w->store, &p, err);
	if (!r)
		*done = PQntuples(p.results[locked]) && pg_bool(p.results[locked], 0, 0);
	return r;
}

int pg_report_recorded(struct worker *w, const struct pg_model *m, const struct store_sink *sink,
		       struct error *err)
{
	struct pg_params model = {0};
	pg_param_int(&model, pg_id(m));
	/* The control thread waits for that: within a deadline. */
	LOCKED(&w->store->telling);
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	store_begin_snapshot(w->store, &p);
	size_t states = pg_add(&p, SQL_ADOPT_RECORDED, &model);
	pg_add(&p, "commit", NULL);
	int r = store_run(w->store, &p, err);
	if (r)
		return r;
	sink->forget(sink->ctx, m->index);
	report_states(w->store, p.results[states], sink, false);
	sink->told(sink->ctx, m->index);
	return 0;
}

/* -o ro: of a table whose states others record those are shown, and else what was found. */
static int report_only(struct worker *w, const struct pg_model *m, const struct pg_shape *shape,
		       const PGresult *windows, const struct store_sink *sink, struct error *err)
{
	struct store *s = w->store;
	struct pg_params known = {0};
	auto_result *recorded = NULL;
	int r = 0;
	pg_param_int(&known, pg_id(m));
	pg_param_int(&known, shape->oid);
	if (s->schema && pg_id(m) && shape->oid)
		r = pg_query(&w->conn, pg_deadline(s), SQL_ADOPT_KNOWN, &known, &recorded, err);
	if (r)
		return r;
	if (recorded && PQntuples(recorded) && pg_bool(recorded, 0, 0))
		return pg_report_recorded(w, m, sink, err);
	report_found(s, m, windows, clock_now_us(s->config->clock), sink);
	return 0;
}

int pg_adopt(struct worker *w, struct pg_model *m, const struct pg_shape *shape, const PGresult *windows,
	     const struct store_sink *sink, struct error *err)
{
	int64_t now = clock_now_us(w->store->config->clock);
	if (w->store->config->read_only)
		return report_only(w, m, shape, windows, sink, err);
	auto_strbuf starts = STRBUF_INIT;
	for (int row = 0; windows && row < PQntuples(windows); row++)
		pg_array_time(&starts, pg_int(windows, row, 0));
	pg_array_end(&starts);
	if (strbuf_broken(&starts))
		return error_set(err, ENOMEM, "no memory for the batches of %s", m->target);
	bool done = false;
	size_t gone = 0;
	int r = lock_model(w, m, shape, &done, err);
	if (!r && !done)
		r = write_down(w, m, shape, windows, &starts, now, &gone, err);
	if (w->conn.pq && PQtransactionStatus(w->conn.pq) != PQTRANS_IDLE) {
		auto_result *ended = NULL;
		pg_query(&w->conn, PG_NO_DEADLINE, "rollback", NULL, &ended, NULL);
	}
	if (!r)
		r = pg_report_recorded(w, m, sink, err);
	if (!r && sink->gone)
		sink->gone(sink->ctx, m->index, gone);
	return r;
}

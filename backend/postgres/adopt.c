/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target that somebody else has built: the batches whose window holds rows are done.
 * The pass over the table comes first and holds nothing; then one short transaction.
 */
#include <string.h>

#include "backend/postgres/batch.h"
#include "backend/postgres/sql.h"

/* The start of the window that `x` lies in, as a timestamp in UTC. */
static void put_truncated(struct strbuf *sql, const char *size, enum time_type type, const char *x)
{
	strbuf_printf(sql, "pg_catalog.date_trunc('%s', %s%s)", size, x,
		      type == TIME_TIMESTAMPTZ ? " at time zone 'UTC'"
		      : type == TIME_DATE      ? "::timestamp"
					       : "");
}

/* Where the window after the one that starts at batchfs_w.t begins, in the column's type. */
static void put_next(struct strbuf *sql, const char *size, enum time_type type)
{
	strbuf_printf(sql, "(batchfs_w.t + interval '1 %s')%s", size,
		      type == TIME_TIMESTAMPTZ ? " at time zone 'UTC'"
		      : type == TIME_DATE      ? "::date"
					       : "");
}

/* From begin to now, which leaves out what is null or infinite. */
static int put_bounds(const struct store *s, const struct pg_model *m, enum time_type type,
		      struct strbuf *sql, struct error *err)
{
	enum batch_size size = m->model->batch_size;
	ordinal first = calendar_ordinal(size, m->model->begin);
	ordinal last = calendar_ordinal(size, clock_now_us(s->config->clock));
	int64_t start = calendar_start(size, first),
		end = calendar_start(size, last >= first ? last + 1 : first);
	return render_window(m, type, start, end, sql, err);
}

/* One descent of the index a window: min() of what lies behind the window before. */
static int write_skip_scan(const struct store *s, const struct pg_model *m, enum time_type type,
			   struct strbuf *sql, struct error *err)
{
	const char *size = calendar_size_name(m->model->batch_size);
	auto_strbuf least = STRBUF_INIT;
	strbuf_printf(&least, "pg_catalog.min(%s)", m->model->event_time);
	strbuf_puts(sql, "with recursive batchfs_w (t) as (select ");
	put_truncated(sql, size, type, least.str);
	strbuf_printf(sql, " from %s where ", m->target);
	int r = put_bounds(s, m, type, sql, err);
	strbuf_puts(sql, " union all select (select ");
	put_truncated(sql, size, type, least.str);
	strbuf_printf(sql, " from %s where ", m->target);
	if (!r)
		r = put_bounds(s, m, type, sql, err);
	strbuf_printf(sql, " and %s >= ", m->model->event_time);
	put_next(sql, size, type);
	strbuf_puts(sql, SQL_SKIP_SCAN_END);
	return r;
}

static int write_pass(const struct store *s, const struct pg_model *m, enum time_type type,
		      struct strbuf *sql, struct error *err)
{
	auto_strbuf column = STRBUF_INIT;
	strbuf_printf(&column, "(%s)", m->model->event_time);
	strbuf_puts(sql, "select (extract(epoch from t) * 1000000)::bigint from (select distinct ");
	put_truncated(sql, calendar_size_name(m->model->batch_size), type, column.str);
	strbuf_printf(sql, " as t from %s where ", m->target);
	int r = put_bounds(s, m, type, sql, err);
	strbuf_puts(sql, ") batchfs_w order by 1");
	return r;
}

static int run_look(struct worker *w, const struct strbuf *sql, PGresult **out, struct error *err)
{
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	p.broken = strbuf_broken(sql);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	/* In the session of the model, because its event_time may be an expression. What a policy hides is an
	 * error. */
	pg_add(&p, "set local lock_timeout = '1s'", NULL);
	pg_add(&p, "set local row_security = off", NULL);
	size_t found = pg_add(&p, sql->str, NULL);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (r)
		return r;
	*out = p.results[found];
	p.results[found] = NULL;
	return 0;
}

/* Another way may help: neither was the connection lost, nor is somebody in the way, nor was this
 * interrupted. */
static bool refused(struct worker *w, int r, const struct error *err)
{
	return r == -EIO && w->conn.pq && !passing_state(err->sqlstate) && !pg_cancel_asked(&w->cancel);
}

/*
 * The starts of the windows that hold rows. Where the server refuses to skip through the index (Citus knows
 * no recursive query over a distributed table), all of the table is read once.
 */
static int find_windows(struct worker *w, const struct pg_model *m, const struct pg_shape *shape,
			PGresult **out, struct error *err)
{
	auto_strbuf skip = STRBUF_INIT, pass = STRBUF_INIT;
	struct error why = {0};
	int r = -EIO;
	bool skips = m->column && shape->indexed;
	if (skips)
		r = write_skip_scan(w->store, m, shape->type, &skip, &why);
	if (skips && !r)
		r = run_look(w, &skip, out, &why);
	if (skips && !refused(w, r, &why)) {
		if (err && r)
			*err = why;
		return r;
	}
	if (skips)
		log_info(w->store->config->log,
			 "%s is read as a whole, because the server refuses to skip: %s", m->target,
			 why.text);
	r = write_pass(w->store, m, shape->type, &pass, err);
	return r ? r : run_look(w, &pass, out, err);
}

static void report_found(struct store *s, const struct pg_model *m, const PGresult *windows, int64_t now,
			 const struct store_sink *sink)
{
	sink->forget(sink->ctx, m->index);
	for (int row = 0; windows && row < PQntuples(windows); row++) {
		struct store_state state = {
			.model = m->index,
			.batch = calendar_ordinal(m->model->batch_size, pg_int(windows, row, 0)),
			.outcome = OUTCOME_DONE,
			.started = now,
			.finished = now,
			.built = now,
			.rows_deleted = -1,
			.rows_inserted = -1,
			.rows_outside = -1,
			.adopted = true,
			.code = "",
			.sqlstate = "",
			.message = ""};
		sink->state(sink->ctx, &state);
	}
}

static int write_down(struct worker *w, const struct pg_model *m, const struct pg_shape *shape,
		      const PGresult *windows, int64_t now, struct error *err)
{
	auto_strbuf starts = STRBUF_INIT;
	for (int row = 0; windows && row < PQntuples(windows); row++)
		pg_array_time(&starts, pg_int(windows, row, 0));
	pg_array_end(&starts);
	struct pg_params model = {0}, states = {0}, known = {0}, feed = {0};
	pg_param_int(&model, pg_id(m));
	pg_param_int(&states, pg_id(m));
	pg_param_text(&states, starts.str);
	pg_param_time(&states, now);
	pg_param_int(&known, pg_id(m));
	pg_param_int(&known, shape->oid);
	pg_param_time(&known, now);
	pg_param_int(&feed, pg_id(m));
	pg_param_int(&feed, w->store->owner);
	pg_param_time(&feed, now);
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	p.broken = strbuf_broken(&starts);
	pg_add(&p, SQL_ADOPT_FORGET, &model);
	pg_add(&p, SQL_ADOPT_BLANK, &model);
	pg_add(&p, SQL_ADOPT_UNSKIP, &model);
	pg_add(&p, SQL_ADOPT_STATES, &states);
	pg_add(&p, SQL_ADOPT_RECORD, &known);
	pg_add(&p, SQL_ADOPT_TELL, &feed);
	pg_add(&p, "commit", NULL);
	return pg_run(&p, err);
}

/* Locks the model against requests and claims. *done: another mount has adopted this very table meanwhile. */
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
		*done = shape->oid && PQntuples(p.results[locked]) && pg_bool(p.results[locked], 0, 0);
	return r;
}

static int report_recorded(struct worker *w, const struct pg_model *m, const struct store_sink *sink,
			   struct error *err)
{
	struct pg_params model = {0};
	pg_param_int(&model, pg_id(m));
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	store_begin_snapshot(w->store, &p);
	size_t states = pg_add(&p, SQL_ADOPT_RECORDED, &model);
	pg_add(&p, "commit", NULL);
	int r = store_run(w->store, &p, err);
	if (r)
		return r;
	sink->forget(sink->ctx, m->index);
	report_states(w->store, p.results[states], sink, false);
	return 0;
}

static int record(struct worker *w, const struct pg_model *m, const struct pg_shape *shape,
		  const PGresult *windows, const struct store_sink *sink, struct error *err)
{
	int64_t now = clock_now_us(w->store->config->clock);
	if (w->store->config->read_only) {
		report_found(w->store, m, windows, now, sink);
		return 0;
	}
	bool done = false;
	int r = lock_model(w, m, shape, &done, err);
	if (r)
		return r;
	auto_result *ended = NULL;
	r = done ? pg_query(&w->conn, PG_NO_DEADLINE, "rollback", NULL, &ended, err)
		 : write_down(w, m, shape, windows, now, err);
	return r ? r : report_recorded(w, m, sink, err);
}

int pg_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
	    struct error *err)
{
	struct store *s = w->store;
	auto_model struct pg_model *m = model_get(s, model);
	struct pg_shape *shape = NULL;
	auto_result *windows = NULL;
	if (kind != LOOK_FIRST)
		return 0;
	pg_cancel_forget(&w->cancel);
	pg_cancel_arm(&w->cancel, true);
	int r = pg_connect(&w->conn, pg_deadline(s), err);
	if (!r)
		r = batch_session(w, model, err);
	if (!r)
		r = shape_read(s, &w->conn, &m, 1, &shape, PG_NO_DEADLINE, err);
	if (!r && shape->why_not.err)
		r = error_set(err, EOPNOTSUPP, "%s", shape->why_not.text);
	if (!r && shape->oid && !s->config->read_only)
		r = check_rights(&w->conn, m, shape->oid, pg_deadline(s), err);
	if (!r && shape->oid)
		r = find_windows(w, m, shape, &windows, err);
	if (!r)
		r = record(w, m, shape, windows, sink, err);
	pg_cancel_arm(&w->cancel, false);
	if (r && pg_cancel_asked(&w->cancel))
		r = error_set(err, ECANCELED, "interrupted while %s was adopted", m->target);
	else if (r == -EIO && passing_state(err->sqlstate) && strcmp(err->sqlstate, "57014") != 0)
		r = -EBUSY;
	if (!r) {
		store_changed(s);
		shape_keep(s, m, shape);
		LOCKED(&s->lock);
		m->accepted = shape->oid;
	}
	shape_put(s, shape);
	return r;
}

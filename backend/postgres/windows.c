/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which windows of a target hold rows: one descent of an index a window where one leads with event_time, else
 * one pass over all of it.
 */
#include <string.h>

#include "backend/postgres/batch.h"
#include "backend/postgres/look.h"
#include "backend/postgres/sql.h"

void pg_put_truncated(struct strbuf *sql, const char *size, enum time_type type, const char *x)
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

struct ordinal_range pg_windows_of(const struct store *s, const struct pg_model *m)
{
	enum batch_size size = m->model->batch_size;
	ordinal first = calendar_ordinal(size, m->model->begin);
	ordinal last = calendar_ordinal(size, clock_now_us(s->config->clock));
	return (struct ordinal_range){first, last >= first ? last + 1 : first};
}

/* From begin to now, which leaves out what is null or infinite. */
static int put_bounds(const struct windows_query *q, struct strbuf *sql, struct error *err)
{
	enum batch_size size = q->model->model->batch_size;
	return render_window(q->model, q->shape->type, calendar_start(size, q->batches.first),
			     calendar_start(size, q->batches.end), sql, err);
}

/* One descent of the index a window: min() of what lies behind the window before. */
static int write_skip_scan(const struct windows_query *q, struct strbuf *sql, struct error *err)
{
	const struct pg_model *m = q->model;
	enum time_type type = q->shape->type;
	const char *size = calendar_size_name(m->model->batch_size);
	auto_strbuf least = STRBUF_INIT;
	strbuf_printf(&least, "pg_catalog.min(%s)", m->model->event_time);
	strbuf_puts(sql, "with recursive batchfs_w (t) as (select ");
	pg_put_truncated(sql, size, type, least.str);
	strbuf_printf(sql, " from %s where ", m->target);
	int r = put_bounds(q, sql, err);
	strbuf_puts(sql, " union all select (select ");
	pg_put_truncated(sql, size, type, least.str);
	strbuf_printf(sql, " from %s where ", m->target);
	if (!r)
		r = put_bounds(q, sql, err);
	strbuf_printf(sql, " and %s >= ", m->model->event_time);
	put_next(sql, size, type);
	strbuf_puts(sql, SQL_SKIP_SCAN_END);
	return r;
}

static int write_pass(const struct windows_query *q, struct strbuf *sql, struct error *err)
{
	const struct pg_model *m = q->model;
	enum time_type type = q->shape->type;
	auto_strbuf column = STRBUF_INIT;
	strbuf_printf(&column, "(%s)", m->model->event_time);
	strbuf_puts(sql, "select (extract(epoch from t) * 1000000)::bigint from (select distinct ");
	pg_put_truncated(sql, calendar_size_name(m->model->batch_size), type, column.str);
	strbuf_printf(sql, " as t from %s where ", m->target);
	int r = put_bounds(q, sql, err);
	strbuf_puts(sql, ") batchfs_w order by 1");
	return r;
}

static int run(struct worker *w, const struct windows_query *q, bool skip, PGresult **out, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	strbuf_puts(&sql, q->before);
	int r = skip ? write_skip_scan(q, &sql, err) : write_pass(q, &sql, err);
	strbuf_puts(&sql, q->after);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	p.broken = strbuf_broken(&sql);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	/* In the session of the model, because its event_time may be an expression. What a policy hides is an
	 * error. */
	pg_add(&p, "set local lock_timeout = '1s'", NULL);
	pg_add(&p, "set local row_security = off", NULL);
	size_t found = pg_add(&p, sql.str, q->params);
	pg_add(&p, "commit", NULL);
	r = pg_run(&p, err);
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

bool pg_windows_skip(const struct pg_model *m, const struct pg_shape *shape)
{
	return m->column && shape->indexed;
}

/* Where the server refuses to skip through the index (Citus knows no recursive query over a distributed
 * table), all of the table is read once. */
int pg_windows_find(struct worker *w, const struct windows_query *q, PGresult **out, struct error *err)
{
	struct error why = {0};
	bool skips = pg_windows_skip(q->model, q->shape);
	int r = skips ? run(w, q, true, out, &why) : -EIO;
	if (skips && !refused(w, r, &why)) {
		if (err && r)
			*err = why;
		return r;
	}
	if (skips)
		log_info(w->store->config->log,
			 "%s is read as a whole, because the server refuses to skip: %s", q->model->target,
			 why.text);
	return run(w, q, false, out, err);
}

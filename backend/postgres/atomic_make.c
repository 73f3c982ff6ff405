/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table beside is made, and the whole exchange is rehearsed with it while it is empty: whatever the
 * exchange would lose, or fail by, ends the refresh before the first batch is built.
 */
#include "backend/postgres/atomic.h"
#include "backend/postgres/exchange.h"
#include "backend/postgres/sql.h"

/* What was built when `begin` was earlier; the batches of the refresh do not yield it. */
static int write_copy(const struct atomic *a, int64_t earliest, struct strbuf *sql, struct error *err)
{
	const struct model *m = a->m->model;
	strbuf_puts(sql, "insert into ");
	quote_name(sql, m->relation.schema);
	strbuf_printf(sql, ".%s (%s) select %s from %s where ", a->beside.name, a->shape->columns,
		      a->shape->columns, a->m->target);
	return render_window(a->m, a->shape->type, earliest,
			     calendar_start(m->batch_size, a->step->batches.first), sql, err);
}

struct earlier {
	bool any;
	struct strbuf copy;
	const char *path; /* of the session: event_time may be an expression */
	PGresult *found;
};

static int ask_earlier(struct atomic *a, struct earlier *e, struct error *err)
{
	struct pg_params v = {0};
	pg_param_int(&v, pg_id(a->m));
	pg_param_int(&v, a->step->id);
	pg_param_time(&v, calendar_start(a->m->model->batch_size, a->step->batches.first));
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	pg_add(&p, "set local lock_timeout = '1s'", NULL);
	size_t asked = pg_add(&p, SQL_ATOMIC_EARLIEST, &v);
	int r = pg_run(&p, err);
	if (r)
		return r;
	e->found = p.results[asked];
	p.results[asked] = NULL;
	e->any = !pg_null(e->found, 0, 0);
	e->path = pg_text(e->found, 0, 1);
	return e->any ? write_copy(a, pg_time(e->found, 0, 0), &e->copy, err) : 0;
}

static int record(struct atomic *a, const struct earlier *e, const char *shape, struct error *err)
{
	struct pg_params made = {0}, path = {0};
	atomic_params(a, &made);
	pg_param_int(&made, a->beside.target);
	pg_param_text(&made, shape);
	pg_param_text(&made, a->beside.name);
	pg_param_text(&path, e->path);
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	p.broken = strbuf_broken(&e->copy);
	pg_add(&p, "select pg_catalog.set_config('search_path', $1, true)", &path);
	if (e->any)
		pg_add(&p, e->copy.str, NULL);
	pg_add(&p, SQL_ATOMIC_MADE, &made);
	pg_add(&p, "commit", NULL);
	return pg_run(&p, err);
}

int atomic_make(struct atomic *a, struct error *err)
{
	struct pg_conn *c = &a->w->conn;
	struct earlier e = {.copy = STRBUF_INIT};
	char shape[33] = "";
	int r = ask_earlier(a, &e, err);
	if (!r)
		r = exchange_check(c, &a->beside, a->m->target, PG_NO_DEADLINE, err);
	if (!r)
		r = beside_drop(c, &a->beside, PG_NO_DEADLINE, err);
	if (!r)
		r = beside_make(c, &a->beside, PG_NO_DEADLINE, err);
	if (!r)
		r = beside_shape(c, &a->beside, shape, PG_NO_DEADLINE, err);
	if (!r)
		r = exchange_rehearse(c, &a->beside, PG_NO_DEADLINE, err);
	if (r == -EAGAIN)
		r = atomic_later(r, err);
	if (!r)
		r = record(a, &e, shape, err);
	strbuf_fini(&e.copy);
	pg_result_clear(&e.found);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The end of it: materialized views are filled, then table, states and history change in one transaction. */
#include <string.h>

#include "backend/freeze.h"
#include "backend/postgres/atomic.h"
#include "backend/postgres/exchange.h"
#include "backend/postgres/sql.h"

static int analyze(struct atomic *a, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_result *done = NULL;
	strbuf_puts(&sql, "analyze ");
	quote_name(&sql, a->m->model->relation.schema);
	strbuf_printf(&sql, ".%s", a->beside.name);
	if (strbuf_broken(&sql))
		return error_set(err, ENOMEM, "no memory to refresh %s", a->m->target);
	return pg_query(&a->w->conn, PG_NO_DEADLINE, sql.str, NULL, &done, err);
}

int atomic_mirror(struct atomic *a, struct error *err)
{
	struct pg_params v = {0};
	auto_result *noted = NULL;
	int r = analyze(a, err);
	if (!r)
		r = exchange_mirror(&a->w->conn, &a->beside, PG_NO_DEADLINE, err);
	if (r == -EAGAIN)
		r = atomic_later(r, err);
	if (r)
		return r;
	atomic_params(a, &v);
	return pg_query(&a->w->conn, PG_NO_DEADLINE, SQL_ATOMIC_MIRRORED, &v, &noted, err);
}

/* Whether the end may come: locked are the model, the row of the table beside and that of the refresh. */
static int lock(struct atomic *a, PGresult **recorded, struct error *err)
{
	struct pg_params locked = {0}, states = {0}, over = {0};
	atomic_params(a, &locked);
	pg_param_int(&states, pg_id(a->m));
	atomic_params(a, &over);
	pg_param_int(&over, a->w->store->owner);
	pg_param_time(&over, clock_now_us(a->w->store->config->clock));
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	pg_add_begin(&p);
	pg_add(&p, SQL_ATOMIC_PATIENCE, NULL);
	size_t shape = pg_add(&p, SQL_ATOMIC_LOCK, &locked);
	pg_add(&p, SQL_ATOMIC_LOCK_STATES, &states);
	pg_add(&p, SQL_ATOMIC_OVER, &over);
	int r = pg_run(&p, err);
	if (r)
		return r;
	*recorded = p.results[shape];
	p.results[shape] = NULL;
	return 0;
}

static int check_frozen(struct atomic *a, struct error *err)
{
	struct pg_params v = {0};
	auto_result *f = NULL;
	const struct model *m = a->m->model;
	char name[CALENDAR_NAME_MAX];
	atomic_params(a, &v);
	int r = pg_query(&a->w->conn, PG_NO_DEADLINE, SQL_ATOMIC_FROZEN, &v, &f, err);
	if (r || PQntuples(f) == 0)
		return r;
	calendar_name(m->batch_size, calendar_ordinal(m->batch_size, pg_time(f, 0, 0)), name);
	return error_set(err, EPERM, "batch %s of %s was frozen meanwhile, by user %s (%s)", name, m->dir,
			 pg_text(f, 0, 1), pg_text(f, 0, 2));
}

static int check_shape(struct atomic *a, const PGresult *recorded, struct error *err)
{
	char now[33] = "";
	int r = beside_shape(&a->w->conn, &a->beside, now, PG_NO_DEADLINE, err);
	if (r)
		return r;
	if (PQntuples(recorded) == 0 || strcmp(pg_text(recorded, 0, 0), now) != 0)
		return error_set(err, EINVAL,
				 "a column, an index, a constraint, a trigger or an option of %s was changed "
				 "meanwhile, and the table that was built beside it is not like it any more",
				 a->m->target);
	return 0;
}

static int write_states(struct atomic *a, struct error *err)
{
	struct pg_params states = {0}, tell = {0}, target = {0};
	atomic_params(a, &states);
	atomic_params(a, &tell);
	pg_param_int(&target, pg_id(a->m));
	pg_param_int(&target, a->target);
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	pg_add(&p, SQL_ATOMIC_STATES, &states);
	pg_add(&p, SQL_ATOMIC_TELL, &tell);
	pg_add(&p, SQL_ATOMIC_TARGET, &target);
	return pg_run(&p, err);
}

static int commit(struct atomic *a, struct error *err)
{
	struct pg_params forget = {0}, end = {0};
	pg_param_int(&forget, pg_id(a->m));
	pg_param_int(&end, pg_id(a->m));
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	pg_add(&p, SQL_ATOMIC_FORGET, &forget);
	pg_add(&p, SQL_ATOMIC_END, &end);
	size_t committed = pg_add(&p, "commit", NULL);
	/* A transaction of its own: nobody waits a second for the news. */
	pg_add(&p, "notify batchfs", NULL);
	int r = pg_run(&p, err);
	if (!r && strcmp(PQcmdStatus(p.results[committed]), "COMMIT") != 0)
		r = error_set(err, EBUSY, "the exchange of %s was rolled back at its COMMIT", a->m->target);
	return r;
}

int atomic_exchange(struct atomic *a, struct error *err)
{
	auto_result *recorded = NULL;
	bool again = false;
	ordinal batch;
	int r = lock(a, &recorded, err);
	if (!r)
		r = atomic_next(a, &again, &batch, err);
	if (r || again)
		return atomic_end(a, r);
	r = check_frozen(a, err);
	if (!r)
		r = write_states(a, err);
	if (!r)
		r = check_shape(a, recorded, err);
	if (!r)
		r = exchange_run(&a->w->conn, &a->beside, PG_NO_DEADLINE, err);
	if (r == -EAGAIN)
		r = atomic_later(r, err);
	if (!r)
		r = commit(a, err);
	a->step->over = r == 0;
	return atomic_end(a, r);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/atomic.h"

#include <string.h>

#include "backend/postgres/sql.h"

void atomic_params(const struct atomic *a, struct pg_params *params)
{
	pg_param_int(params, pg_id(a->m));
	pg_param_int(params, a->step->id);
}

int atomic_later(int r, struct error *err)
{
	if (r && err)
		err->err = EBUSY;
	return r ? -EBUSY : 0;
}

int atomic_end(struct atomic *a, int r)
{
	auto_result *undone = NULL;
	struct pg_conn *c = &a->w->conn;
	if (c->pq && PQtransactionStatus(c->pq) != PQTRANS_IDLE &&
	    pg_query(c, pg_deadline(a->w->store), "rollback", NULL, &undone, NULL))
		pg_disconnect(c);
	return r;
}

/* The row of the table beside is ours from now on, in the transaction that this opens. */
static int lock_beside(struct atomic *a, PGresult **out, struct error *err)
{
	struct pg_params row = {0}, take = {0}, look = {0};
	atomic_params(a, &row);
	atomic_params(a, &take);
	pg_param_int(&take, a->w->store->owner);
	atomic_params(a, &look);
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	pg_add(&p, SQL_ATOMIC_ROW, &row);
	pg_add(&p, SQL_ATOMIC_TAKE, &take);
	pg_add(&p, "commit", NULL);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	size_t looked = pg_add(&p, SQL_ATOMIC_LOOK, &look);
	int r = pg_run(&p, err);
	if (r)
		return r;
	*out = p.results[looked];
	p.results[looked] = NULL;
	return 0;
}

static int take(struct atomic *a, bool *anew, struct error *err)
{
	auto_result *f = NULL;
	const struct model *m = a->m->model;
	int r = lock_beside(a, &f, err);
	if (r)
		return r;
	*anew = false;
	if (PQntuples(f) == 0 || refresh_phase_of(pg_text(f, 0, 0)) != a->step->phase)
		return error_set(err, ESTALE, "the full refresh of %s has gone on, or is over", m->dir);
	if (pg_int(f, 0, 1) != a->w->store->owner)
		return error_set(err, EBUSY, "another mount refreshes %s", m->dir);
	if (strcmp(pg_text(f, 0, 6), m->code) != 0)
		return pg_bool(f, 0, 7)
			       ? error_set(err, EOPNOTSUPP,
					   "no mount has the SQL that this was asked for with, since the "
					   "manifest has another one: ask again to have it done with that")
			       : error_set(err, EBUSY, "%s was to be refreshed with other SQL", m->dir);
	*anew = pg_int(f, 0, 2) != a->step->id;
	a->target = (uint32_t)pg_int(f, 0, 3);
	a->made = (uint32_t)pg_int(f, 0, 4);
	a->mirrored = pg_bool(f, 0, 5);
	a->newest = pg_null(f, 0, 8) ? NEWEST_NONE : pg_time(f, 0, 8);
	return 0;
}

/* What an earlier refresh has left goes first. */
static int begin_anew(struct atomic *a, struct error *err)
{
	struct pg_params row = {0}, model = {0};
	atomic_params(a, &row);
	pg_param_int(&model, pg_id(a->m));
	int r = beside_drop(&a->w->conn, &a->beside, PG_NO_DEADLINE, err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	pg_add(&p, SQL_ATOMIC_BEGIN_ANEW, &row);
	pg_add(&p, SQL_ATOMIC_FORGET, &model);
	pg_add(&p, "commit", NULL);
	return pg_run(&p, err);
}

static int build_or_end(struct atomic *a, struct error *err)
{
	bool found = false;
	ordinal batch = 0;
	if (a->shape->oid != a->target)
		return error_set(err, EINVAL,
				 "%s is not the table any more beside which the new one was built",
				 a->m->target);
	int r = atomic_next(a, &found, &batch, err);
	if (!r && found)
		return atomic_build(a, batch, err);
	atomic_end(a, r);
	if (r)
		return r;
	if (a->step->phase == REFRESH_BESIDE) {
		a->step->over = true;
		return 0;
	}
	return a->mirrored ? atomic_exchange(a, err) : atomic_mirror(a, err);
}

static int step_on(struct atomic *a, struct error *err)
{
	bool anew = false;
	int r = take(a, &anew, err);
	if (!r && anew)
		r = begin_anew(a, err);
	else if (!r && !a->made)
		r = atomic_make(a, err);
	else if (!r)
		r = build_or_end(a, err);
	return atomic_end(a, r);
}

/* The refresh is over: nothing of it is to be left. */
static int clean_up(struct atomic *a, struct error *err)
{
	struct pg_params v[3] = {{0}};
	for (size_t i = 0; i < 3; i++)
		pg_param_int(&v[i], pg_id(a->m));
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE), done = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	pg_add_begin(&p);
	size_t under_way = pg_add(&p, SQL_ATOMIC_IS_UNDER_WAY, &v[0]);
	int r = pg_run(&p, err);
	if (r)
		return r;
	if (PQntuples(p.results[under_way]) && pg_bool(p.results[under_way], 0, 0))
		return error_set(err, ESTALE, "%s is being refreshed anew", a->m->model->dir);
	r = beside_drop(&a->w->conn, &a->beside, PG_NO_DEADLINE, err);
	if (r)
		return r;
	pg_add(&done, SQL_ATOMIC_FORGET, &v[1]);
	pg_add(&done, SQL_ATOMIC_END, &v[2]);
	pg_add(&done, "commit", NULL);
	return pg_run(&done, err);
}

/* A new column, say, is to come with an ordinary batch first: views and rights are the table's own matter. */
static int check_columns(struct atomic *a, struct error *err)
{
	if (!columns_may_change(a->m, a->shape))
		return 0;
	int r = columns_compare(a->w, a->m, a->shape, false, err);
	if (r == 1)
		return error_set(
			err, EOPNOTSUPP,
			"the query of %s yields other columns than %s has, and on_schema_change would "
			"change the table before it is exchanged: have a batch built first",
			a->m->model->dir, a->m->target);
	return r;
}

static int connect_and_look(struct atomic *a, struct error *err)
{
	struct worker *w = a->w;
	struct store *s = w->store;
	int r = batch_meet(w, a->m, &a->shape, err);
	if (!r && a->step->phase == REFRESH_OVER)
		return 0;
	if (!r && describe_asks(a->m))
		r = describe_types(s, &w->conn, &a->m, 1, &a->shape, PG_NO_DEADLINE, err);
	if (!r && a->shape->why_not.err) {
		r = -a->shape->why_not.err;
		if (err)
			*err = a->shape->why_not;
	}
	if (!r && !a->shape->oid)
		r = error_set(err, ENOENT, "%s is gone", a->m->target);
	return r ? r : check_columns(a, err);
}

/* The fence divides by zero; a lock that somebody holds is not waited for. */
static int explain(const struct atomic *a, int r, struct error *err)
{
	struct worker *w = a->w;
	if (r && pg_cancel_asked(&w->cancel))
		return error_set(err, ECANCELED, "interrupted while %s was refreshed", a->m->target);
	if (r != -EIO || !w->conn.pq)
		return r;
	if (strcmp(err->sqlstate, "22012") == 0)
		return error_set(err, ESTALE, "the full refresh of %s was taken over, or is over",
				 a->m->model->dir);
	return *err->sqlstate && passing_state(err->sqlstate) ? atomic_later(r, err) : r;
}

int pg_beside(struct worker *w, struct beside_step *step, struct error *err)
{
	auto_model struct pg_model *m = model_get(w->store, step->model);
	struct atomic a = {.w = w, .m = m, .step = step, .newest = NEWEST_NONE};
	struct error own = {0};
	if (!err)
		err = &own;
	step->over = false;
	pg_cancel_forget(&w->cancel);
	pg_cancel_arm(&w->cancel, true);
	int r = connect_and_look(&a, err);
	if (!r) {
		beside_init(&a.beside, pg_id(m), a.shape->oid);
		r = step->phase == REFRESH_OVER ? atomic_end(&a, clean_up(&a, err)) : step_on(&a, err);
	}
	pg_cancel_arm(&w->cancel, false);
	r = explain(&a, r, err);
	shape_put(w->store, a.shape);
	return r;
}

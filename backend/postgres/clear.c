/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clear phase of a full refresh (builder.clear): rows that are in no window of the model are deleted, so
 * many in one transaction, found by an index where one leads with event_time. What was deleted is counted
 * into the row of the refresh in the same transaction, which so is in that phase still, and this mount's.
 */
#include <string.h>

#include "backend/postgres/batch.h"
#include "backend/postgres/refresh.h"
#include "backend/postgres/sql.h"

/* In one transaction. */
#define ROWS_AT_ONCE 10000

/* What is looked for, one after the other (struct clear_step.at). */
enum place { BEFORE, BEHIND, NOWHERE, PLACES };

struct clearing {
	struct worker *w;
	const struct pg_model *m;
	const struct pg_shape *shape;
	struct clear_step *step;
	int64_t first, end; /* us: what lies between stays */
};

static int put_condition(const struct clearing *x, enum place place, struct strbuf *sql, struct error *err)
{
	const char *time = x->m->model->event_time;
	int r = 0;
	switch (place) {
	case BEFORE:
		strbuf_printf(sql, "(%s) < ", time);
		r = time_literal(x->shape->type, x->first, sql, err);
		break;
	case BEHIND:
		strbuf_printf(sql, "(%s) >= ", time);
		r = time_literal(x->shape->type, x->end, sql, err);
		break;
	case NOWHERE:
	case PLACES:
		strbuf_printf(sql, "(%s) is null", time);
		break;
	}
	return r ? error_prefix(err, "%s, event_time %s: ", x->m->target, time) : 0;
}

static int write_delete(const struct clearing *x, enum place place, struct strbuf *sql, struct error *err)
{
	auto_strbuf condition = STRBUF_INIT;
	int r = put_condition(x, place, &condition, err);
	if (r)
		return r;
	strbuf_printf(sql, SQL_CLEAR_ROWS, x->m->target, condition.str, ROWS_AT_ONCE, x->m->target,
		      condition.str);
	return strbuf_broken(&condition) || strbuf_broken(sql)
		       ? error_set(err, ENOMEM, "no memory to clear %s", x->m->target)
		       : 0;
}

/* BEGIN and the deletion; the transaction stays open. */
static int delete_some(const struct clearing *x, enum place place, int64_t *deleted, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	int r = write_delete(x, place, &sql, err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	pg_add(&p, "set local lock_timeout = '1s'", NULL);
	if (x->shape->secured)
		pg_add(&p, render_unsecured, NULL);
	size_t gone = pg_add(&p, sql.str, NULL);
	r = pg_run(&p, err);
	*deleted = r ? 0 : strtoll(PQcmdTuples(p.results[gone]), NULL, 10);
	return r;
}

static int count_and_commit(const struct clearing *x, enum place place, int64_t deleted, struct error *err)
{
	struct pg_params v = {0};
	pg_param_int(&v, pg_id(x->m));
	pg_param_int(&v, x->step->id);
	pg_param_int(&v, x->w->store->owner);
	pg_param_int(&v, place == NOWHERE ? 0 : deleted);
	pg_param_int(&v, place == NOWHERE ? deleted : 0);
	auto_pipe p = PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
	size_t counted = pg_add(&p, SQL_CLEAR_COUNT, &v);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (r)
		return r;
	x->step->rows_outside = pg_int(p.results[counted], 0, 0);
	x->step->rows_without_event_time = pg_int(p.results[counted], 0, 1);
	return 0;
}

static int roll_back(const struct clearing *x, struct error *err)
{
	auto_result *done = NULL;
	return pg_query(&x->w->conn, pg_deadline(x->w->store), "rollback", NULL, &done, err);
}

/* One transaction that deletes something; or nothing is left. */
static int step_on(const struct clearing *x, struct error *err)
{
	for (; x->step->at < PLACES; x->step->at++) {
		enum place place = (enum place)x->step->at;
		int64_t deleted;
		int r = delete_some(x, place, &deleted, err);
		if (r || deleted)
			return r ? r : count_and_commit(x, place, deleted, err);
		r = roll_back(x, err);
		if (r)
			return r;
	}
	x->step->over = true;
	return 0;
}

/* -ESTALE, -EBUSY. */
static int not_ours(const struct clearing *x, struct error *err)
{
	struct pg_params v = {0};
	auto_result *found = NULL;
	pg_param_int(&v, pg_id(x->m));
	pg_param_int(&v, x->step->id);
	int r = pg_query(&x->w->conn, pg_deadline(x->w->store), SQL_CLEAR_STANDS, &v, &found, err);
	if (r)
		return r;
	return PQntuples(found)
		       ? error_set(err, EBUSY, "another mount clears %s", x->m->target)
		       : error_set(err, ESTALE, "the full refresh of %s goes on without being cleared",
				   x->m->target);
}

/* The phase becomes this mount's, and the bounds are known. */
static int take(struct clearing *x, struct error *err)
{
	enum batch_size size = x->m->model->batch_size;
	struct store *s = x->w->store;
	struct pg_params v = {0};
	auto_result *taken = NULL;
	x->first = calendar_start(size, x->step->batches.first);
	x->end = calendar_start(size, calendar_ordinal(size, clock_now_us(s->config->clock)) + 1);
	if (x->end < calendar_start(size, x->step->batches.end))
		x->end = calendar_start(size, x->step->batches.end);
	pg_param_int(&v, pg_id(x->m));
	pg_param_int(&v, x->step->id);
	pg_param_int(&v, s->owner);
	pg_param_time(&v, x->first);
	pg_param_time(&v, x->end);
	int r = pg_query(&x->w->conn, pg_deadline(s), SQL_CLEAR_TAKE, &v, &taken, err);
	if (r || PQntuples(taken) == 0)
		return r ? r : not_ours(x, err);
	x->step->rows_outside = pg_int(taken, 0, 0);
	x->step->rows_without_event_time = pg_int(taken, 0, 1);
	if (!pg_null(taken, 0, 2) && pg_time(taken, 0, 2) < x->first)
		x->first = pg_time(taken, 0, 2);
	if (!pg_null(taken, 0, 3))
		x->end = calendar_start(size, calendar_ordinal(size, pg_time(taken, 0, 3)) + 1);
	return 0;
}

/* The fence of clear_count divides by zero; a lock that somebody holds is not waited for. */
static int explain(const struct clearing *x, int r, struct error *err)
{
	struct error why = {0};
	struct worker *w = x->w;
	if (r && pg_cancel_asked(&w->cancel))
		return error_set(err, ECANCELED, "interrupted while %s was cleared", x->m->target);
	if (r != -EIO || !w->conn.pq)
		return r;
	if (strcmp(err->sqlstate, "22012") == 0)
		return error_set(err, ESTALE, "the full refresh of %s was taken over, or is over",
				 x->m->target);
	if (passing_state(err->sqlstate))
		return -EBUSY;
	if (strcmp(err->sqlstate, "42501") == 0 && x->shape && x->shape->oid &&
	    check_rights(&w->conn, x->m, x->shape->oid, pg_deadline(w->store), &why) == -EACCES) {
		*err = why;
		return -EACCES;
	}
	return r;
}

int pg_clear(struct worker *w, struct clear_step *step, struct error *err)
{
	struct store *s = w->store;
	auto_model struct pg_model *m = model_get(s, step->model);
	struct pg_shape *shape = NULL;
	struct error own = {0};
	struct clearing x = {.w = w, .m = m, .step = step};
	if (!err)
		err = &own;
	step->over = false;
	pg_cancel_forget(&w->cancel);
	pg_cancel_arm(&w->cancel, true);
	int r = batch_meet(w, m, &shape, err);
	if (!r && shape->unfit)
		r = error_set(err, EOPNOTSUPP, "%s", shape->why_not.text);
	x.shape = shape;
	if (!r)
		r = take(&x, err);
	if (!r && shape->oid)
		r = step_on(&x, err);
	else if (!r)
		step->over = true; /* there is no table, and nothing in it */
	pg_cancel_arm(&w->cancel, false);
	r = explain(&x, r, err);
	shape_put(s, shape);
	return r;
}

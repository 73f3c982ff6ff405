/* SPDX-License-Identifier: Apache-2.0 */
/* A model is made buildable: its target is there, is the one the states are of, and may be written. */
#include <string.h>

#include "backend/postgres/batch.h"
#include "backend/postgres/sql.h"

/* Readers never queue behind us for longer than the lock timeout; then again. */
#define TRIES	 20
#define AGAIN_US 250000

static int unknown_input(const struct pg_model *m, const struct pg_shape *shape, struct error *err)
{
	for (size_t i = 0; i < m->model->n_inputs; i++) {
		const struct input *in = &m->model->inputs[i];
		if (in->filtered && shape->types[i] == TIME_UNKNOWN)
			return error_set(err, ENOENT,
					 "%s reads %s, which is not there or has no %s: build it first",
					 m->model->dir, in->relation.rendered, in->event_time);
	}
	return 0;
}

static int read_known(struct worker *w, const struct pg_model *m, struct pg_known *known, struct error *err)
{
	struct pg_params params = {0};
	pg_param_int(&params, pg_id(m));
	auto_result *r = NULL;
	int failed = pg_query(&w->conn, pg_deadline(w->store), SQL_PREPARE_KNOWN, &params, &r, err);
	if (failed)
		return failed;
	known->oid = PQntuples(r) ? (uint32_t)pg_int(r, 0, 0) : 0;
	return 0;
}

static int meet(struct worker *w, struct pg_model *m, struct pg_shape *shape, struct store_target *target,
		struct error *err)
{
	struct store *s = w->store;
	struct pg_known known = {0};
	int r = s->config->read_only ? 0 : check_rights(&w->conn, m, shape->oid, pg_deadline(s), err);
	if (!r)
		r = read_known(w, m, &known, err);
	if (!r)
		r = accept_targets(s, &w->conn, &m, &shape, &known, 1, pg_deadline(s), err);
	if (r)
		return r;
	describe_target(&w->conn, m, shape, known.look, target);
	shape_keep(s, m, shape);
	return 0;
}

/* After the target was made or changed. */
static int read_again(struct worker *w, struct pg_model *m, struct pg_shape **shape, struct error *err)
{
	shape_put(w->store, *shape);
	*shape = NULL;
	return shape_read(w->store, &w->conn, &m, 1, shape, PG_NO_DEADLINE, err);
}

static int prepare_once(struct worker *w, struct pg_model *m, bool make, struct store_target *target,
			struct error *err)
{
	struct store *s = w->store;
	struct pg_shape *shape = NULL;
	int r = batch_meet(w, m, &shape, err);
	if (!r && make && !shape->oid && !shape->why_not.err) {
		r = unknown_input(m, shape, err);
		if (!r && m->model->contract)
			r = columns_compare(w, m, shape, false, err);
		if (!r)
			r = create_target(w, m, shape, err);
		if (!r)
			r = read_again(w, m, &shape, err);
	}
	if (!r && make && shape->oid && !shape->why_not.err && columns_may_change(m, shape)) {
		r = columns_compare(w, m, shape, true, err);
		if (r == 1)
			r = read_again(w, m, &shape, err);
	}
	if (!r && (shape->why_not.err || !shape->oid))
		describe_target(&w->conn, m, shape, false, target);
	else if (!r && make)
		r = attributes_apply(w, m, shape->oid, err);
	if (!r && shape->oid && !shape->why_not.err)
		r = meet(w, m, shape, target, err);
	shape_put(s, shape);
	return r;
}

/* Of a model that the guest builds: it makes the table, and whatever else that needs. */
static int prepare_for_guest(struct worker *w, struct pg_model *m, struct store_target *target,
			     struct error *err)
{
	struct pg_shape *shape = NULL;
	struct pg_known known = {0};
	int r = batch_meet(w, m, &shape, err);
	if (!r && w->store->schema)
		r = read_known(w, m, &known, err);
	if (!r)
		r = accept_targets(w->store, &w->conn, &m, &shape, &known, 1, pg_deadline(w->store), err);
	if (!r) {
		describe_target(&w->conn, m, shape, known.look, target);
		shape_keep(w->store, m, shape);
	}
	shape_put(w->store, shape);
	return r;
}

static int prepare_model(struct worker *w, struct pg_model *m, bool make, struct store_target *target,
			 struct error *err)
{
	return m->guest ? prepare_for_guest(w, m, target, err) : prepare_once(w, m, make, target, err);
}

int pg_prepare(struct worker *w, slot model, bool make, struct store_target *target, struct error *err)
{
	struct store *s = w->store;
	auto_model struct pg_model *m = model_get(s, model);
	if (!model_builds(m) || (make && (!pg_id(m) || s->config->read_only)))
		return error_set(err, EOPNOTSUPP, "%s cannot be built by this mount", m->model->dir);
	pg_cancel_forget(&w->cancel);
	pg_cancel_arm(&w->cancel, true);
	model_busy(m, true);
	struct error why = {0};
	int r = 0;
	for (int i = 0; i < TRIES; i++) {
		r = prepare_model(w, m, make, target, &why);
		bool again = r == -EIO && passing_state(why.sqlstate) && !pg_cancel_asked(&w->cancel);
		if (!again || pg_pause(w->conn.abandon_fd, clock_monotonic_us() + AGAIN_US))
			break;
	}
	pg_cancel_arm(&w->cancel, false);
	model_busy(m, false);
	if (r && pg_cancel_asked(&w->cancel))
		r = error_set(&why, ECANCELED, "interrupted while %s was made ready", m->target);
	if (r && err)
		*err = why;
	return r;
}

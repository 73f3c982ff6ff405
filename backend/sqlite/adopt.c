/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes over a table that somebody else has built. It is read first, without a lock; then one transaction of
 * FILE: a new id, its marker on the table, the batches that hold rows, nothing of the old id; so a kill
 * leaves either the old state, to be looked at at the next start, or the new one. Of a table that has gone
 * only the id is new, so that nothing is left of it.
 */
#include "backend/sqlite/done.h"
#include "backend/sqlite/look.h"
#include "backend/sqlite/prepare.h"
#include "backend/sqlite/schema.h"
#include "backend/sqlite/sql.h"

/* A table as it was seen. */
struct seen_table {
	struct target_view view;
	int64_t cookie; /* changes with every change of the schema */
	struct found_list found;
	size_t gone; /* batches that were built into the table before it and are not in this one */
};

static int look_up(struct worker *w, const struct model *m, struct target_view *view, int64_t *cookie,
		   struct error *err)
{
	auto_stmt *stmt = NULL;
	bool tables;
	int r = warehouse_schema_check(w->db, &tables, err);
	if (r == 0)
		r = db_prepare(w->db, SQL_SCHEMA_COOKIE, &stmt, err);
	if (r == 0)
		r = db_step(stmt, err);
	if (r == 1)
		*cookie = sqlite3_column_int64(stmt, 0);
	if (r >= 0)
		r = target_look(w->db, m, tables, view, err);
	return r == 0 && view->why_not.err ? error_set(err, view->why_not.err, "%s", view->why_not.text) : r;
}

static int see(struct worker *w, const struct model *m, struct seen_table *t, struct error *err)
{
	int r = db_exec(w->db, "BEGIN", err);
	if (r == 0)
		r = look_up(w, m, &t->view, &t->cookie, err);
	if (r == 0 && t->view.exists)
		r = windows_find(w, m, &t->view, &t->found, err);
	db_rollback(w->db);
	return r;
}

/* What the last runs finished is idle from here on: its `served` outlives the old id (queue.h, invariant 4).
 */
int settle_queue(struct worker *w, sqlite3 *queue, slot model, struct error *err)
{
	struct done_rows done = {0};
	int r = done_rows_open(w->db, &done, err);
	if (r == 0)
		r = db_exec(queue, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = queue_sweep(w->store, queue, &done, model, w->store->owner, err);
	done_rows_close(&done);
	return r == 0 ? db_exec(queue, "COMMIT", err) : r;
}

/* What was built into the former table, and is not in this one. */
static int find_gone(struct worker *w, const struct model *m, int64_t was, const struct found_list *found,
		     struct found_list *gone, struct error *err)
{
	auto_stmt *stmt = NULL;
	size_t i = 0;
	int r = worker_prepare(w, SQL_STATES_WITH_ROWS, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", was);
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		ordinal batch = calendar_ordinal(m->batch_size, sqlite3_column_int64(stmt, 0));
		while (i < found->n && found->list[i].batch < batch)
			i++;
		r = i < found->n && found->list[i].batch == batch
			    ? 0
			    : found_list_add(gone, batch, (uint32_t)sqlite3_column_int64(stmt, 1), err);
	}
	return r < 0 ? r : 0;
}

/* Runs a statement of ours with up to two ids. */
static int run_ids(struct worker *w, const char *sql, const char *types, int64_t was, int64_t id,
		   struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = worker_prepare(w, sql, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, types, was, id);
	return r == 0 ? db_run(stmt, err) : r;
}

int adopt_states(struct worker *w, const struct model *m, int64_t id, int64_t now,
		 const struct found_list *found, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = worker_prepare(w, SQL_ADOPT_STATE, &stmt, err);
	for (size_t i = 0; i < found->n && r == 0; i++) {
		r = db_bind(stmt, err, "iiii", id, calendar_start(m->batch_size, found->list[i].batch),
			    (int64_t)found->list[i].attempt, now);
		if (r == 0)
			r = db_run(stmt, err);
	}
	return r == 0 ? told_write(w, m, id, "adopted", now, found, err) : r;
}

static int record(struct worker *w, const struct model *m, int64_t was, int64_t id, struct seen_table *t,
		  struct error *err)
{
	auto_found gone = {0};
	int64_t now = clock_now_us(w->store->config.clock);
	int r = find_gone(w, m, was, &t->found, &gone, err);
	t->gone = gone.n;
	if (r == 0)
		r = run_ids(w, SQL_FORGET_STATES, "i", was, id, err);
	if (r == 0)
		r = run_ids(w, SQL_KEEP_ATTEMPTS, "ii", was, id, err);
	if (r == 0)
		r = t->view.exists ? target_register(w, m, id, err)
				   : run_ids(w, SQL_MODEL_GONE, "ii", was, id, err);
	if (r == 0)
		r = told_write(w, m, id, "gone", now, &gone, err);
	if (r == 0)
		r = adopt_states(w, m, id, now, &t->found, err);
	if (r == 0)
		r = worker_checked(w, err);
	return r == 0 ? db_exec(w->db, "COMMIT", err) : r;
}

/* The table is the one that was seen, or nothing is recorded. */
static int record_seen(struct worker *w, slot model, struct seen_table *t, struct error *err)
{
	struct store *s = w->store;
	const struct model *m = w->edition->model;
	struct target_view view = {0};
	int64_t id = fresh_id(), cookie = 0;
	int r = db_exec(w->db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = look_up(w, m, &view, &cookie, err);
	if (r == 0 && cookie != t->cookie)
		r = error_set(err, EBUSY, "another program has changed %s meanwhile", m->relation.identifier);
	if (r == 0 && !view.known && (view.exists || view.registered)) {
		r = record(w, m, queue_model_of(s, model).table_id, id, t, err);
		view.table_id = id;
		view.registered = true;
		view.known = view.exists;
	}
	if (r == 0)
		target_learn(s, model, &view);
	target_view_fini(&view);
	db_rollback(w->db);
	return r;
}

/* -o ro: what would be adopted, told and not written. */
static void report_only(struct worker *w, slot model, const struct seen_table *t,
			const struct store_sink *sink)
{
	int64_t now = clock_now_us(w->store->config.clock);
	sink->forget(sink->ctx, model);
	for (size_t i = 0; i < t->found.n; i++) {
		struct store_state st = adopted_state(model, t->found.list[i].batch, now);
		sink->state(sink->ctx, &st);
	}
	sink->told(sink->ctx, model);
}

int adopt(struct worker *w, slot model, const struct store_sink *sink, struct error *err)
{
	struct store *s = w->store;
	auto_db *queue = NULL;
	struct seen_table t = {0};
	struct done_rows done = {0};
	int r = see(w, w->edition->model, &t, err);
	if (r == 0 && s->config.read_only) {
		report_only(w, model, &t, sink);
		goto out;
	}
	if (r == 0)
		r = queue_connect(s, &w->patience, &queue, err);
	if (r == 0)
		r = settle_queue(w, queue, model, err);
	if (r == 0)
		r = record_seen(w, model, &t, err);
	if (r == 0)
		r = done_rows_open(w->db, &done, err);
	if (r == 0) {
		sink->forget(sink->ctx, model);
		r = queue_load_states(s, queue, &done, model, sink, err);
		/* After a failure, too: else no look would come again. */
		sink->told(sink->ctx, model);
	}
	if (r == 0 && sink->gone)
		sink->gone(sink->ctx, model, t.gone);
	done_rows_close(&done);
out:
	target_view_fini(&t.view);
	found_list_fini(&t.found);
	return r;
}

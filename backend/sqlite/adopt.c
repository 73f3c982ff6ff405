/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes over a table that somebody else has built. One transaction of FILE: a new id,
 * its marker on the table, the batches that hold rows, nothing of the old id; so a kill leaves either
 * the old state, to be adopted at the next start, or the new one.
 */
#include "backend/sqlite/done.h"
#include "backend/sqlite/prepare.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/target.h"

/* The statement of the windows that hold rows. ordered: oldest first; else they are recorded. */
static int of_windows(struct strbuf *out, bool ordered, const struct model *m, struct error *err)
{
	auto_strbuf name = STRBUF_INIT;
	const char *time = m->event_time;
	int size = (int)m->batch_size;
	target_name(&name, m);
	if (strbuf_broken(&name))
		return error_set(err, ENOMEM, "no memory");
	if (ordered)
		strbuf_printf(out, SQL_WINDOWS_IN_ORDER, time, size, name.str, time, size);
	else
		strbuf_printf(out, SQL_ADOPT_WINDOWS, time, size, name.str, time, size);
	return strbuf_broken(out) ? error_set(err, ENOMEM, "no memory") : 0;
}

/* What the last runs finished is idle from here on: its `served` outlives the old id (queue.h, invariant 4).
 */
static int settle_queue(struct worker *w, sqlite3 *queue, slot model, struct error *err)
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

static int record(struct worker *w, const struct model *m, int64_t was, int64_t id, struct error *err)
{
	auto_stmt *forget = NULL, *keep = NULL, *adopt = NULL;
	auto_strbuf sql = STRBUF_INIT;
	int r = worker_prepare(w, SQL_FORGET_STATES, &forget, err);
	if (r == 0)
		r = db_bind(forget, err, "i", was);
	if (r == 0)
		r = db_run(forget, err);
	if (r == 0)
		r = worker_prepare(w, SQL_KEEP_ATTEMPTS, &keep, err);
	if (r == 0)
		r = db_bind(keep, err, "ii", was, id);
	if (r == 0)
		r = db_run(keep, err);
	if (r == 0)
		r = target_register(w, m, id, err);
	if (r == 0)
		r = of_windows(&sql, false, m, err);
	if (r == 0)
		r = worker_prepare(w, sql.str, &adopt, err);
	if (r == 0)
		r = db_bind(adopt, err, "ii", id, clock_now_us(w->store->config.clock));
	if (r == 0)
		r = db_run(adopt, err);
	if (r == 0)
		r = worker_checked(w, err);
	return r == 0 ? db_exec(w->db, "COMMIT", err) : r;
}

/* -o ro: what would be adopted, told and not written. */
static int report_only(struct worker *w, slot model, const struct store_sink *sink, struct error *err)
{
	const struct model *m = w->edition->model;
	int64_t now = clock_now_us(w->store->config.clock);
	auto_stmt *stmt = NULL;
	auto_strbuf sql = STRBUF_INIT;
	int r = of_windows(&sql, true, m, err);
	if (r == 0)
		r = worker_prepare(w, sql.str, &stmt, err);
	if (r < 0)
		return r;
	sink->forget(sink->ctx, model);
	while ((r = db_step(stmt, err)) == 1) {
		struct store_state st = {
			.model = model,
			.batch = calendar_ordinal(m->batch_size, sqlite3_column_int64(stmt, 0)),
			.outcome = OUTCOME_DONE,
			.finished = now,
			.built = now,
			.rows_deleted = -1,
			.rows_inserted = -1,
			.rows_outside = -1,
			.adopted = true,
			.code = "",
			.sqlstate = "",
			.message = ""};
		sink->state(sink->ctx, &st);
	}
	return r;
}

static int adopt(struct worker *w, slot model, const struct store_sink *sink, struct error *err)
{
	struct store *s = w->store;
	const struct model *m = w->edition->model;
	auto_db *queue = NULL;
	struct target_view view = {0};
	int64_t id = fresh_id();
	struct queue_model qm = queue_model_of(s, model);
	struct done_rows done = {0};
	int r = queue_connect(s, &w->patience, &queue, err);
	if (r == 0)
		r = settle_queue(w, queue, model, err);
	if (r == 0)
		r = db_exec(w->db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = target_look(w->db, m, true, &view, err);
	if (r == 0 && view.why_not.err)
		r = error_set(err, view.why_not.err, "%s", view.why_not.text);
	if (r == 0 && !view.exists)
		r = error_set(err, EAGAIN, "%s has gone", m->relation.identifier);
	if (r == 0 && !view.known)
		r = record(w, m, qm.table_id, id, err);
	if (r == 0) {
		view.table_id = view.known ? view.table_id : id;
		view.registered = view.known = true;
		target_learn(s, model, &view);
		sink->forget(sink->ctx, model);
		db_rollback(w->db);
		r = done_rows_open(w->db, &done, err);
	}
	if (r == 0)
		r = queue_load_states(s, queue, &done, model, sink, err);
	done_rows_close(&done);
	target_view_fini(&view);
	return r;
}

int sqlite_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
		struct error *err)
{
	if (kind != LOOK_FIRST)
		return 0;
	int r = worker_enter(w, model, err);
	if (r == 0)
		r = w->store->config.read_only ? report_only(w, model, sink, err)
					       : adopt(w, model, sink, err);
	worker_leave(w);
	return r;
}

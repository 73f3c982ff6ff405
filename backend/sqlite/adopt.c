/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes over a table that somebody else has built. One transaction of FILE: a new id,
 * its marker on the table, the batches that hold rows, nothing of the old id; so a kill leaves either
 * the old state, to be adopted at the next start, or the new one.
 */
#include "backend/sqlite/prepare.h"
#include "backend/sqlite/target.h"

/* Every window that holds rows, as `start`. */
static void windows(struct strbuf *out, const struct model *m)
{
	strbuf_printf(out, "SELECT DISTINCT batchfs_start(%s, %d) AS start FROM ", m->event_time,
		      (int)m->batch_size);
	target_name(out, m);
	strbuf_printf(out, " WHERE batchfs_start(%s, %d) IS NOT NULL", m->event_time, (int)m->batch_size);
}

/* What the last runs finished is idle from here on: its `served` outlives the old id (invariant 5). */
static int settle_queue(struct worker *w, sqlite3 *queue, const struct target *t, struct error *err)
{
	int r = db_exec(queue, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = sweep_model(w->store, queue, w->db, t, w->store->owner, err);
	return r == 0 ? db_exec(queue, "COMMIT", err) : r;
}

static int record(struct worker *w, const struct model *m, const struct target *t, int64_t id,
		  struct error *err)
{
	auto_stmt *forget = NULL, *keep = NULL, *adopt = NULL;
	auto_strbuf sql = STRBUF_INIT;
	int r = worker_prepare(w, "DELETE FROM batchfs_state WHERE model = ?", &forget, err);
	if (r == 0)
		r = db_bind(forget, err, "i", t->table_id);
	if (r == 0)
		r = db_run(forget, err);
	/* What was done to the table before stays the model's history. */
	if (r == 0)
		r = worker_prepare(w, "UPDATE batchfs_attempt SET model = ?2 WHERE model = ?1", &keep, err);
	if (r == 0)
		r = db_bind(keep, err, "ii", t->table_id, id);
	if (r == 0)
		r = db_run(keep, err);
	if (r == 0)
		r = target_register(w, m, id, err);
	strbuf_puts(&sql, "INSERT INTO batchfs_state (model, start, attempt, finished, adopted)"
			  " SELECT ?1, start, 0, ?2, 1 FROM (");
	windows(&sql, m);
	strbuf_putc(&sql, ')');
	if (r == 0 && strbuf_broken(&sql))
		r = error_set(err, ENOMEM, "no memory");
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
	const struct model *m = w->store->targets[model].model;
	int64_t now = clock_now_us(w->store->config.clock);
	auto_stmt *stmt = NULL;
	auto_strbuf sql = STRBUF_INIT;
	windows(&sql, m);
	strbuf_puts(&sql, " ORDER BY 1");
	int r = strbuf_broken(&sql) ? error_set(err, ENOMEM, "no memory")
				    : worker_prepare(w, sql.str, &stmt, err);
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
	const struct model *m = s->targets[model].model;
	auto_db *queue = NULL;
	struct target_view view = {0};
	int64_t id = fresh_id();
	struct target t = target_copy(s, model);
	int r = connect_queue(s, &w->patience, &queue, err);
	if (r == 0)
		r = settle_queue(w, queue, &t, err);
	if (r == 0)
		r = db_exec(w->db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = target_look(w->db, m, true, &view, err);
	if (r == 0 && view.why_not.err)
		r = error_set(err, view.why_not.err, "%s", view.why_not.text);
	if (r == 0 && !view.exists)
		r = error_set(err, EAGAIN, "%s has gone", m->relation.identifier);
	if (r == 0 && !view.known)
		r = record(w, m, &t, id, err);
	if (r == 0) {
		view.table_id = view.known ? view.table_id : id;
		view.registered = view.known = true;
		target_learn(s, model, &view);
		sink->forget(sink->ctx, model);
		db_rollback(w->db);
		r = load_states(s, w->db, queue, true, model, sink, err);
	}
	target_view_fini(&view);
	return r;
}

int sqlite_adopt(struct worker *w, slot model, const struct store_sink *sink, struct error *err)
{
	int r = worker_enter(w, err);
	if (r == 0)
		r = w->store->config.read_only ? report_only(w, model, sink, err)
					       : adopt(w, model, sink, err);
	worker_leave(w);
	return r;
}

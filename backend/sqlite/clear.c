/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clear phase of a full refresh (builder.clear): rows that are in no window of the model are deleted, so
 * many in one transaction. What is no time (text that is not `YYYY-MM-DD...`, a number beside texts) stays:
 * target_look() names it where it is the smallest or largest value, a batch that meets it where it lies
 * between.
 */
#include <stdio.h>
#include <string.h>

#include "backend/sqlite/guard.h"
#include "backend/sqlite/schema.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/target.h"
#include "backend/sqlite/time_value.h"

/* In one transaction. */
#define ROWS_AT_ONCE 10000
/* For a lock; then it is tried again later. */
#define WAIT_US 1000000

/* What is looked for, one after the other (struct clear_step.at). */
enum place { BEFORE, BEHIND, NOWHERE, PLACES };

#define KEY_MAX 64

struct clearing {
	struct worker *w;
	const struct model *m;
	struct clear_step *step;
	int64_t queue_id;
	int64_t first, end; /* us: what lies between stays */
	enum time_type type;
	char key[KEY_MAX]; /* of the counts in batchfs_meta */
};

/* Of a table without rowids all that is found goes at once. */
static int write_delete(const struct clearing *x, enum place place, bool rowids, struct strbuf *sql,
			struct error *err)
{
	const char *time = x->m->event_time;
	auto_strbuf where = STRBUF_INIT;
	int r = 0;
	if (place == NOWHERE) {
		strbuf_printf(&where, "(%s) IS NULL", time);
	} else {
		strbuf_printf(&where, "(%s) %s ", time, place == BEFORE ? "<" : ">=");
		r = time_literal(x->type, place == BEFORE ? x->first : x->end, &where, err);
		strbuf_printf(&where, " AND typeof(%s) = '%s' AND batchfs_is_time(%s)", time,
			      x->type == TIME_EPOCH ? "integer" : "text", time);
	}
	strbuf_puts(sql, "DELETE FROM ");
	target_name(sql, x->m);
	strbuf_puts(sql, " WHERE ");
	if (rowids) {
		/* The condition again: a column of that name says nothing of one row alone. */
		strbuf_puts(sql, "_rowid_ IN (SELECT _rowid_ FROM ");
		target_name(sql, x->m);
		strbuf_printf(sql, " WHERE %s LIMIT %d) AND %s", where.str, ROWS_AT_ONCE, where.str);
	} else {
		strbuf_puts(sql, where.str);
	}
	return r == 0 && (strbuf_broken(&where) || strbuf_broken(sql)) ? error_set(err, ENOMEM, "no memory")
								       : r;
}

static int prepare_delete(const struct clearing *x, enum place place, sqlite3_stmt **out, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT, whole = STRBUF_INIT;
	struct error why = {0};
	int r = write_delete(x, place, true, &sql, err);
	if (r == 0)
		r = write_delete(x, place, false, &whole, err);
	if (r < 0 || worker_prepare(x->w, sql.str, out, &why) == 0)
		return r;
	return worker_prepare(x->w, whole.str, out, err);
}

static int delete_some(const struct clearing *x, enum place place, int64_t *deleted, struct error *err)
{
	auto_stmt *stmt = NULL;
	GUARDED(x->w, GUARD_ROWS);
	int r = worker_checked(x->w, err);
	if (r == 0)
		r = prepare_delete(x, place, &stmt, err);
	if (r == 0)
		r = db_run(stmt, err);
	*deleted = r == 0 ? sqlite3_changes64(x->w->db) : 0;
	return guard_explain(x->w, r, err);
}

/* What former steps of this refresh have deleted. */
static int read_counts(const struct clearing *x, struct error *err)
{
	auto_stmt *stmt = NULL;
	long long id, outside, without;
	int r = worker_prepare(x->w, SQL_CLEAR_COUNTED, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "t", x->key);
	if (r == 0)
		r = db_step(stmt, err);
	bool known = r == 1 && sscanf(db_text(stmt, 0), "%lld %lld %lld", &id, &outside, &without) == 3 &&
		     id == x->step->id;
	x->step->rows_outside = known ? outside : 0;
	x->step->rows_without_event_time = known ? without : 0;
	return r < 0 ? r : 0;
}

/* Within the transaction that deletes. */
static int count(const struct clearing *x, enum place place, int64_t deleted, struct error *err)
{
	struct clear_step *step = x->step;
	char value[80];
	auto_stmt *stmt = NULL;
	GUARDED(x->w, GUARD_OWN);
	if (place == NOWHERE)
		step->rows_without_event_time += deleted;
	else
		step->rows_outside += deleted;
	snprintf(value, sizeof value, "%lld %lld %lld", (long long)step->id, (long long)step->rows_outside,
		 (long long)step->rows_without_event_time);
	int r = worker_prepare(x->w, SQL_CLEAR_COUNT, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "tt", x->key, value);
	return r == 0 ? db_run(stmt, err) : r;
}

/* The refresh is in its phase still, and as long as *queue is open: nobody else writes there meanwhile. */
static int hold_phase(const struct clearing *x, sqlite3 **queue, struct error *err)
{
	int r = queue_connect(x->w->store, &x->w->patience, queue, err);
	if (r == 0)
		r = db_exec(*queue, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = queue_refresh_clears(*queue, x->queue_id, x->step->id, err);
	if (r == 0)
		r = error_set(err, ESTALE, "the full refresh of %s goes on without being cleared", x->m->dir);
	return r < 0 ? r : 0;
}

static int check_phase(const struct clearing *x, struct error *err)
{
	auto_db *queue = NULL;
	return hold_phase(x, &queue, err);
}

/* The refresh is cancelled either before, and then nothing is deleted, or after what was deleted is there for
 * all to see. FILE is locked before the queue, as everywhere. */
static int commit(const struct clearing *x, struct error *err)
{
	auto_db *queue = NULL;
	int r = hold_phase(x, &queue, err);
	if (r == 0)
		r = worker_checked(x->w, err);
	return r == 0 ? db_exec(x->w->db, "COMMIT", err) : r;
}

/* What was built when `begin` was earlier stays, and the window that is open now, and what was built when the
 * clock (`now=`) was later. */
static int find_bounds(struct clearing *x, int64_t table_id, struct error *err)
{
	enum batch_size size = x->m->batch_size;
	auto_stmt *stmt = NULL;
	x->first = calendar_start(size, x->step->batches.first);
	x->end = calendar_start(size, calendar_ordinal(size, clock_now_us(x->w->store->config.clock)) + 1);
	if (x->end < calendar_start(size, x->step->batches.end))
		x->end = calendar_start(size, x->step->batches.end);
	int r = worker_prepare(x->w, SQL_CLEAR_BUILT, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "iii", table_id, x->first, x->end);
	if (r == 0)
		r = db_step(stmt, err);
	if (r == 1 && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER)
		x->first = sqlite3_column_int64(stmt, 0);
	if (r == 1 && sqlite3_column_type(stmt, 1) == SQLITE_INTEGER)
		x->end = calendar_start(size, calendar_ordinal(size, sqlite3_column_int64(stmt, 1)) + 1);
	return r < 0 ? r : 0;
}

static int step_on(struct clearing *x, struct error *err)
{
	int64_t deleted = 0;
	int r = read_counts(x, err);
	for (; r == 0 && x->step->at < PLACES; x->step->at++) {
		r = delete_some(x, (enum place)x->step->at, &deleted, err);
		if (deleted)
			break;
	}
	if (r < 0)
		return r;
	x->step->over = x->step->at >= PLACES;
	if (x->step->over)
		return 0;
	r = count(x, (enum place)x->step->at, deleted, err);
	return r == 0 ? commit(x, err) : r;
}

static int clear(struct clearing *x, struct error *err)
{
	struct target_view view = {0};
	bool tables;
	int r = check_phase(x, err);
	if (r == 0)
		r = db_exec(x->w->db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = warehouse_schema_check(x->w->db, &tables, err);
	if (r == 0)
		r = target_look(x->w->db, x->m, tables, &view, err);
	if (r == 0 && view.why_not.err)
		r = error_set(err, view.why_not.err, "%s", view.why_not.text);
	x->type = view.type;
	if (r == 0)
		r = find_bounds(x, view.table_id, err);
	/* Without a type there is no value. */
	if (r == 0 && view.exists && x->type == TIME_UNKNOWN)
		x->step->at = NOWHERE;
	if (r == 0 && view.exists)
		r = step_on(x, err);
	else if (r == 0)
		x->step->over = true;
	target_view_fini(&view);
	return r;
}

int sqlite_clear(struct worker *w, struct clear_step *step, struct error *err)
{
	struct error own = {0};
	int64_t wait_us = w->patience.wait_us;
	if (!err)
		err = &own;
	step->over = false;
	int r = worker_enter(w, step->model, err);
	if (w->patience.wait_us > WAIT_US)
		w->patience.wait_us = WAIT_US;
	struct clearing x = {
		.w = w, .step = step, .queue_id = queue_model_of(w->store, step->model).queue_id};
	snprintf(x.key, KEY_MAX, "refresh of model %lld", (long long)x.queue_id);
	if (r == 0) {
		x.m = w->edition->model;
		r = clear(&x, err);
	}
	w->patience.wait_us = wait_us;
	worker_leave(w);
	return r;
}

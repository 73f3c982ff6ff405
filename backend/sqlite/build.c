/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One batch is one transaction: the state row, fenced by the attempt, is its first
 * write; rows, counts and history follow, and all of it commits or nothing does.
 */
#include <string.h>

#include "backend/base/count.h"
#include "backend/kinds.h"
#include "backend/sqlite/done.h"
#include "backend/sqlite/guard.h"
#include "backend/sqlite/queue/rows.h"
#include "backend/sqlite/shape.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/statement.h"
#include "backend/sqlite/target.h"
#include "backend/sqlite/time_value.h"

struct building {
	struct worker *w;
	const struct build_run *run;
	build_report_fn *report;
	void *ctx;
	struct error unfit; /* err != 0: no batch of the run can be built, and why */
};

/* Binds what the statement names. */
static int bind_batch(sqlite3_stmt *stmt, const struct build_run *run, const struct build_report *b,
		      const char *code, struct error *err)
{
	const struct {
		const char *name;
		int64_t value;
	} numbers[] = {
		{":attempt", b->attempt},      {":started", b->started},	{":finished", b->finished},
		{":deleted", b->rows_deleted}, {":inserted", b->rows_inserted}, {":outside", b->rows_outside},
		{":request", run->request},
	};
	int r = SQLITE_OK;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers && r == SQLITE_OK; i++) {
		int at = sqlite3_bind_parameter_index(stmt, numbers[i].name);
		r = at ? sqlite3_bind_int64(stmt, at, numbers[i].value) : SQLITE_OK;
	}
	int at = sqlite3_bind_parameter_index(stmt, ":code");
	if (at && r == SQLITE_OK)
		r = sqlite3_bind_text(stmt, at, code, -1, SQLITE_STATIC);
	return r == SQLITE_OK ? 0 : db_error(sqlite3_db_handle(stmt), err);
}

/* Runs one of our own statements with what is known of the batch by now. */
static int run_own(struct worker *w, enum guard guard, const char *sql, const struct build_run *run,
		   const struct build_report *b, struct error *err)
{
	auto_stmt *stmt = NULL;
	GUARDED(w, guard);
	int r = worker_checked(w, err);
	if (r == 0)
		r = worker_prepare(w, sql, &stmt, err);
	if (r == 0)
		r = bind_batch(stmt, run, b, w->edition->model->code, err);
	if (r == 0)
		r = db_run(stmt, err);
	return guard_explain(w, r, err);
}

static int run_insert(struct worker *w, slot model, const char *sql, struct error *err)
{
	const struct model *m = w->edition->model;
	auto_stmt *stmt = NULL;
	GUARDED(w, GUARD_ROWS);
	int r = worker_checked(w, err);
	if (r == 0)
		r = db_prepare(w->db, sql, &stmt, err);
	w->outside = 0;
	w->expected = target_type(w->store, model);
	w->misfit = TIME_UNKNOWN;
	if (r == 0)
		r = db_run(stmt, err);
	r = guard_explain(w, r, err);
	if (r < 0 && w->misfit != TIME_UNKNOWN)
		r = error_set(
			err, EINVAL,
			"the query of %s yields its event_time %s as %s, and the table %s holds it as %s",
			m->name, m->event_time, time_type_name(w->misfit), m->relation.identifier,
			time_type_name(w->expected));
	if (r == 0 && w->outside > 0 && model_loses_outside(m))
		r = error_sql(
			err, EINVAL, "44000",
			"%s no event_time or one outside of the batch; all "
			"that it reads is filtered to the batch, so no other batch yields them and they would be "
			"lost. With meta.batchfs.outside: drop in the model's config such rows are left out",
			count_of((uint64_t)w->outside, "row that the query yields has",
				 "rows that the query yields have")
				.text);
	return r;
}

/* Values in the window that text comparison would put into the wrong batch are a failure, not rows. */
static int check_inputs(struct worker *w, ordinal batch, struct error *err)
{
	const struct model *m = w->edition->model;
	for (size_t i = 0; i < m->n_inputs; i++) {
		auto_strbuf sql = STRBUF_INIT;
		auto_stmt *stmt = NULL;
		int r;
		{
			LOCKED(&w->store->lock);
			r = input_check_sql(w->edition, i, batch, &sql, err);
		}
		if (r == 0 && strbuf_broken(&sql))
			r = error_set(err, ENOMEM, "no memory");
		if (r < 0)
			return r;
		if (sql.len == 0)
			continue;
		r = worker_checked(w, err);
		if (r == 0)
			r = worker_prepare(w, sql.str, &stmt, err);
		if (r == 0)
			r = db_step(stmt, err);
		if (r == 1)
			return error_set(err, EINVAL,
					 "%s: %s holds '%.60s'; an event_time in SQLite is text "
					 "'YYYY-MM-DD[ HH:MM:SS[.ffffff]]' in UTC, or whole seconds since "
					 "1970 as INTEGER",
					 m->inputs[i].relation.identifier, m->inputs[i].event_time,
					 db_text(stmt, 0));
		if (r < 0)
			return r;
	}
	return 0;
}

/* FILE is the one that was mounted. */
static int check_file(struct worker *w, struct error *err)
{
	struct file_watch watch = warehouse_watch(w->store);
	return watch_check(&watch, err);
}

/* Between two batches of a run another program may have replaced the table, or the contents of FILE. */
static int check_target(struct worker *w, slot model, struct error *err)
{
	struct queue_model qm = queue_model_of(w->store, model);
	struct file_watch watch = warehouse_watch(w->store);
	const char *table = w->edition->model->relation.identifier;
	char marker[MARKER_MAX];
	auto_stmt *stmt = NULL;
	target_marker(qm.table_id, marker);
	int r = db_prepare(w->db, SQL_BATCH_STANDS, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "tt", marker, table);
	if (r == 0)
		r = db_step(stmt, err);
	/* Tables of ours that are not there say the same as another identity. */
	if (r == -EINVAL || (r == 1 && strcmp(db_text(stmt, 1), watch.identity) != 0))
		return watch_contents(&watch, w->db, err);
	if (r == 1 && !sqlite3_column_int(stmt, 0))
		return error_set(err, EBUSY, "the table %s was replaced by another program", table);
	return r < 0 ? r : 0;
}

/* The state row was not taken: by a later attempt, or it holds what is no attempt. */
static int fenced_off(struct worker *w, slot model, const struct build_report *b, struct error *err)
{
	struct queue_model qm = queue_model_of(w->store, model);
	int64_t start = calendar_start(qm.size, b->batch);
	struct done_rows done;
	struct done_row row;
	int r = done_rows_open(w->db, &done, err);
	if (r == 0)
		r = done_get(&done, qm.table_id, start, &row, err);
	if (r == 1 && row.damaged)
		r = error_sql(
			err, EIO, "XX001",
			"its row in batchfs_state is damaged: %s holds no such thing. With " SQL_BATCH_MEND
			" it is built anew",
			row.damaged, (long long)qm.table_id, (long long)start);
	else if (r >= 0)
		r = error_set(err, ESTALE, "another attempt has taken over");
	done_rows_close(&done);
	return r;
}

/* Everything between BEGIN and COMMIT. -ESTALE: fenced off. */
static int transact(struct worker *w, const struct build_run *run, const struct batch_sql *sql,
		    struct build_report *b, struct error *err)
{
	int r = run_own(w, GUARD_OFF, sql->text[STATEMENT_BEGIN].str, run, b, err);
	if (r == 0)
		r = check_target(w, run->model, err);
	if (r == 0)
		r = run_own(w, GUARD_OWN, sql->text[STATEMENT_FENCE].str, run, b, err);
	if (r == 0 && sqlite3_changes64(w->db) == 0)
		r = fenced_off(w, run->model, b, err);
	if (r == 0)
		r = check_inputs(w, b->batch, err);
	if (r == 0)
		r = run_own(w, GUARD_ROWS, sql->text[STATEMENT_DELETE].str, run, b, err);
	b->rows_deleted = sqlite3_changes64(w->db);
	if (r == 0)
		r = run_insert(w, run->model, sql->text[STATEMENT_INSERT].str, err);
	b->rows_inserted = sqlite3_changes64(w->db);
	b->rows_outside = w->outside;
	b->finished = clock_now_us(w->store->config.clock);
	if (r == 0)
		r = run_own(w, GUARD_OWN, sql->text[STATEMENT_STATE].str, run, b, err);
	if (r == 0 && sqlite3_changes64(w->db) != 1)
		r = error_set(err, EIO, "its row in batchfs_state has gone while its rows were written");
	if (r == 0)
		r = run_own(w, GUARD_OWN, sql->text[STATEMENT_HISTORY].str, run, b, err);
	return r;
}

/* A COMMIT that failed: whether it happened all the same is asked of the file, not guessed. */
static bool was_committed(struct worker *w, const struct build_run *run, const struct build_report *b)
{
	const struct model *m = w->edition->model;
	auto_stmt *stmt = NULL;
	db_rollback(w->db);
	return worker_prepare(w, SQL_BATCH_COMMITTED, &stmt, NULL) == 0 &&
	       db_bind(stmt, NULL, "iii", queue_model_of(w->store, run->model).table_id,
		       calendar_start(m->batch_size, b->batch), (int64_t)b->attempt) == 0 &&
	       db_step(stmt, NULL) == 1;
}

static enum build_outcome outcome_of(int r)
{
	switch (r) {
	case 0:
		return BUILD_DONE;
	case -ESTALE:
		return BUILD_STALE;
	case -EBUSY:
	case -EHOSTUNREACH:
		return BUILD_PASSING;
	case -ECANCELED:
		return BUILD_INTERRUPTED;
	default:
		return BUILD_FAILED;
	}
}

static int build_batch(struct building *g, struct build_report *b, struct error *err)
{
	struct worker *w = g->w;
	struct batch_sql sql;
	if (g->unfit.err) {
		*err = g->unfit;
		return -err->err;
	}
	int r;
	{
		LOCKED(&w->store->lock);
		r = batch_sql_make(w->store, g->run->model, w->edition, b->batch, &sql, err);
	}
	if (r == 0)
		r = transact(w, g->run, &sql, b, err);
	if (r == 0)
		r = worker_checked(w, err);
	if (r == 0 && !build_wanted(g->run, b->batch))
		r = error_set(err, ECANCELED, "it was cancelled");
	if (r == 0)
		r = check_file(w, err);
	if (r == 0) {
		r = db_exec(w->db, sql.text[STATEMENT_COMMIT].str, err);
		if (r < 0 && was_committed(w, g->run, b))
			r = 0;
		if (r == 0)
			r = check_file(w, err);
	}
	db_rollback(w->db);
	batch_sql_fini(&sql);
	return r;
}

/* Reports one batch; whether the run goes on. */
static bool build_one(struct building *g, uint32_t i)
{
	const struct clock *clock = g->w->store->config.clock;
	struct error err = {0};
	struct build_report b = {.outcome = BUILD_STARTED,
				 .batch = g->run->first + i,
				 .attempt = g->run->attempt[i],
				 .started = clock_now_us(clock),
				 .rows_deleted = -1,
				 .rows_inserted = -1,
				 .rows_outside = -1};
	g->report(g->ctx, &b);
	b.outcome = outcome_of(build_batch(g, &b, &err));
	if (b.outcome != BUILD_DONE) {
		b.finished = clock_now_us(clock);
		b.rows_deleted = b.rows_inserted = b.rows_outside = -1;
	}
	if (build_traits(b.outcome)->reason)
		b.err = &err;
	b.of_all = b.outcome == BUILD_FAILED && g->unfit.err;
	g->report(g->ctx, &b);
	return build_traits(b.outcome)->goes_on;
}

/* What can change between two runs: the table itself, its columns, what the event_times hold. */
static int look_again(struct building *g, struct error *err)
{
	struct store *s = g->w->store;
	const struct model *m = g->w->edition->model;
	struct target_view view = {0};
	int64_t last;
	int r = target_look(g->w->db, m, true, &view, err);
	if (r == 0 && !view.why_not.err && !(view.exists && view.known))
		r = error_set(err, EAGAIN, "the table %s is not the one that was prepared",
			      m->relation.identifier);
	g->unfit = view.why_not;
	if (r == 0 && !g->unfit.err) {
		enum time_type *types = calloc(m->n_inputs + 1, sizeof *types);
		r = types ? input_look(g->w->db, m, view.type, types, &last, &g->unfit, err)
			  : error_set(err, ENOMEM, "no memory");
		if (r == 0) {
			target_learn(s, g->run->model, &view);
			target_learn_inputs(s, g->w->edition, types);
		} else {
			free(types);
		}
	}
	if (r == 0 && !g->unfit.err &&
	    query_check(g->w, calendar_start(m->batch_size, g->run->first), &g->unfit) == -ECANCELED)
		r = error_set(err, ECANCELED, "interrupted");
	target_view_fini(&view);
	return r;
}

static void leave_out(struct building *g, uint32_t from, uint32_t end)
{
	for (uint32_t i = from; i < end; i++)
		build_leave_out(g->run, i, g->unfit.err ? &g->unfit : NULL, g->report, g->ctx);
}

int sqlite_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
		 struct error *err)
{
	struct building g = {.w = w, .run = run, .report = report, .ctx = ctx};
	struct error own = {0};
	uint32_t i = 0;
	if (!err)
		err = &own;
	int r = worker_enter(w, run->model, err);
	if (r == 0 && w->store->config.read_only)
		r = error_set(err, EROFS, "mounted with -o ro: nothing is built");
	if (r == 0)
		r = look_again(&g, err);
	/* What keeps the run from being looked at is the first batch's outcome. */
	if (r < 0 && r != -EAGAIN && r != -ECANCELED && r != -EROFS) {
		g.unfit = *err;
		r = 0;
	}
	for (bool on = r == 0; on && i < run->count; i++) {
		if (build_wanted(run, run->first + i))
			on = !run->attempt[i] || build_one(&g, i);
		else
			leave_out(&g, i, i + 1);
	}
	leave_out(&g, i, run->count);
	worker_leave(w);
	return r;
}

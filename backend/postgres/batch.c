/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/postgres/session.h"
#include "backend/postgres/sql.h"

/* A plan made while the state table was small may read all of it once it is large. */
#define RUNS_A_PLAN 16

#define NAMED_BEGIN   "batchfs_begin"
#define NAMED_FENCE   "batchfs_fence"
#define NAMED_FINISH  "batchfs_finish"
#define NAMED_COMMIT  "batchfs_commit"
#define NAMED_OUTSIDE "batchfs_outside"

static void add_statements(struct worker *w, struct pg_pipe *p, bool new_connection)
{
	if (new_connection) {
		pg_add_prepare(p, NAMED_BEGIN, "begin isolation level read committed read write");
		pg_add_prepare(p, NAMED_OUTSIDE, SQL_BATCH_OUTSIDE);
		pg_add_prepare(p, NAMED_COMMIT, "commit");
	} else if (++w->runs % RUNS_A_PLAN != 0) {
		return;
	} else {
		pg_add(p, "deallocate " NAMED_FENCE, NULL);
		pg_add(p, "deallocate " NAMED_FINISH, NULL);
	}
	pg_add_prepare(p, NAMED_FENCE, SQL_BATCH_FENCE);
	pg_add_prepare(p, NAMED_FINISH, SQL_BATCH_FINISH);
}

void batch_add_session(struct worker *w, struct pg_pipe *p, slot model)
{
	w->clean &= w->ran == model;
	bool new_connection = w->prepared != w->conn.generation;
	if (new_connection)
		session_add_models(p);
	else if (!w->clean)
		session_add_renewal(p);
	/* A mount that builds nothing may find no schema batchfs. */
	if (!w->store->config->read_only)
		add_statements(w, p, new_connection);
}

void batch_session_is(struct worker *w, slot model)
{
	w->prepared = w->conn.generation;
	w->ran = model;
	w->clean = false;
}

int batch_session(struct worker *w, slot model, struct error *err)
{
	if (w->prepared == w->conn.generation && w->clean && w->ran == model)
		return 0;
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	batch_add_session(w, &p, model);
	int r = pg_run(&p, err);
	if (r)
		pg_disconnect(&w->conn); /* which of them are there is not known */
	else
		batch_session_is(w, model);
	return r;
}

int batch_meet(struct worker *w, struct pg_model *m, struct pg_shape **shape, struct error *err)
{
	int r = pg_connect(&w->conn, pg_deadline(w->store), err);
	if (!r)
		r = batch_session(w, m->index, err);
	return r ? r : shape_read(w->store, &w->conn, &m, 1, shape, PG_NO_DEADLINE, err);
}

bool batch_init(struct batch *x, struct worker *w, struct pg_model *m, const struct pg_shape *shape,
		ordinal batch, uint32_t attempt)
{
	*x = (struct batch){.w = w, .m = m, .shape = shape, .remove = STRBUF_INIT, .insert = STRBUF_INIT};
	x->rows = (struct pg_pipe)PG_PIPE(&w->conn, PG_NO_DEADLINE);
	x->end = (struct pg_pipe)PG_PIPE(&w->conn, PG_NO_DEADLINE);
	x->report = (struct build_report){.outcome = BUILD_STARTED,
					  .batch = batch,
					  .attempt = attempt,
					  .started = clock_now_us(w->store->config->clock),
					  .rows_deleted = -1,
					  .rows_inserted = -1,
					  .rows_outside = -1};
	return !render_delete(m, shape, batch, &x->remove, &x->err) &&
	       !render_insert(m, shape, batch, m->target, &x->insert, &x->err);
}

void batch_fini(struct batch *x)
{
	strbuf_fini(&x->remove);
	strbuf_fini(&x->insert);
	pg_pipe_fini(&x->rows);
	pg_pipe_fini(&x->end);
}

void batch_put_key(const struct batch *x, struct pg_params *params)
{
	pg_param_int(params, pg_id(x->m));
	pg_param_time(params, calendar_start(x->m->model->batch_size, x->report.batch));
}

void batch_renew(struct batch *x, struct pg_pipe *p)
{
	pg_pipe_fini(p);
	*p = (struct pg_pipe)PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
}

size_t batch_add_fence(const struct batch *x, struct pg_pipe *p)
{
	struct pg_params fence = {0};
	batch_put_key(x, &fence);
	pg_param_int(&fence, x->report.attempt);
	pg_param_time(&fence, x->report.started);
	pg_param_text(&fence, x->m->model->code);
	pg_param_int(&fence, x->w->store->owner);
	pg_add_named(p, NAMED_BEGIN, NULL);
	return pg_add_named(p, NAMED_FENCE, &fence);
}

void batch_add_insert(struct batch *x)
{
	x->inserted = pg_add(&x->rows, x->insert.str, NULL);
	if (x->m->loses_outside)
		x->outside = pg_add_named(&x->rows, NAMED_OUTSIDE, NULL);
}

void batch_send_rows(struct batch *x)
{
	batch_renew(x, &x->rows);
	x->fenced = x->begun ? SIZE_MAX : batch_add_fence(x, &x->rows);
	header_add(&x->rows, x->m->model);
	if (x->shape->secured)
		pg_add(&x->rows, render_unsecured, NULL);
	x->removed = pg_add(&x->rows, x->remove.str, NULL);
	if (x->shape->secured)
		pg_add(&x->rows, render_secured, NULL);
	batch_add_insert(x);
	pg_send(&x->rows, &x->err);
}

void batch_add_end(struct batch *x)
{
	x->report.finished = clock_now_us(x->w->store->config->clock);
	struct pg_params params = {0};
	batch_put_key(x, &params);
	pg_param_int(&params, x->w->store->owner);
	pg_param_time(&params, x->report.finished);
	pg_param_int(&params, x->report.rows_deleted);
	pg_param_int(&params, x->report.rows_inserted);
	pg_param_int(&params, x->report.attempt);
	x->finished = pg_add_named(&x->end, NAMED_FINISH, &params);
	x->committed = pg_add_named(&x->end, NAMED_COMMIT, NULL);
}

void batch_send_end(struct batch *x)
{
	batch_renew(x, &x->end);
	batch_add_end(x);
	pg_send(&x->end, &x->err);
}

void batch_undo(struct batch *x)
{
	auto_result *undone = NULL;
	if (x->w->conn.pq && pg_query(&x->w->conn, pg_deadline(x->w->store), "rollback", NULL, &undone, NULL))
		pg_disconnect(&x->w->conn);
}

/* What an error means for the batch, where the connection still stands. */
static enum build_outcome judge(struct batch *x)
{
	/* A function has deallocated what we had prepared: a new connection has it again. */
	if (strcmp(x->err.sqlstate, "26000") == 0 && x->rows.failed != (int)x->removed &&
	    x->rows.failed != (int)x->inserted) {
		pg_disconnect(&x->w->conn);
		return BUILD_PASSING;
	}
	/* Our own connection stands, or this would be judge_lost(). */
	if (strncmp(x->err.sqlstate, "08", 2) == 0 && strcmp(x->err.sqlstate, "08P01") != 0)
		error_prefix(
			&x->err,
			"a server behind the warehouse (a node of its cluster, a foreign server) cannot be "
			"reached: ");
	if (strcmp(x->err.sqlstate, "57014") == 0 && pg_cancel_asked(&x->w->cancel))
		return BUILD_INTERRUPTED;
	return passing_state(x->err.sqlstate) ? BUILD_PASSING : BUILD_FAILED;
}

static enum build_outcome judge_lost(struct batch *x, int r)
{
	/* Abandoned, or interrupted without reaching the server: nobody waits for the fate. */
	if (r == -ECANCELED || r == -EINTR)
		return BUILD_INTERRUPTED;
	return resolve(x->w, x->m, &x->report, &x->err);
}

enum build_outcome batch_failed(struct batch *x, int r)
{
	return x->w->conn.pq ? judge(x) : judge_lost(x, r);
}

/* Whether the error stands before the query, in the list of the target's columns that are taken from it. */
static bool names_target_column(const struct batch *x)
{
	const char *at = x->rows.failed == (int)x->inserted ? PQresultErrorField(x->rows.results[x->inserted],
										 PG_DIAG_STATEMENT_POSITION)
							    : NULL;
	const char *query = strstr(x->insert.str, " from (\n");
	return at && query && strtoll(at, NULL, 10) <= query - x->insert.str;
}

/* A right that is missing is named with its GRANT. */
static void explain(struct batch *x)
{
	struct error why = {0};
	if (strcmp(x->err.sqlstate, "42703") == 0 && names_target_column(x))
		error_prefix(
			&x->err,
			"the query of %s no longer yields every column that %s has (let it yield the column, take "
			"it out of the table, or set on_schema_change): ",
			x->m->model->dir, x->m->target);
	if (strcmp(x->err.sqlstate, "42501") == 0 && x->w->conn.pq &&
	    check_rights(&x->w->conn, x->m, x->shape->oid, pg_deadline(x->w->store), &why) == -EACCES)
		x->err = why;
}

/* All that it reads is filtered to the window: no other batch yields the rows that were left out. */
static enum build_outcome refuse_outside(struct batch *x)
{
	char zone[400] = "", start[CALENDAR_TIME_MAX], end[CALENDAR_TIME_MAX];
	const char *other = session_other_zone(&x->w->conn);
	enum batch_size size = x->m->model->batch_size;
	calendar_format_sql(calendar_start(size, x->report.batch), start);
	calendar_format_sql(calendar_start(size, x->report.batch + 1), end);
	if (other)
		snprintf(
			zone, sizeof zone,
			". The session's time zone is %.100s: a day that the SQL cuts there (date_trunc, ::date) is no day "
			"of UTC, so that SQL needs the zone (ts at time zone 'UTC'), or the role does (ALTER ROLE ... SET "
			"timezone = 'UTC')",
			other);
	error_sql(
		&x->err, EINVAL, "44000",
		"%s no event_time or one outside of the batch, which is "
		"%s to %s in UTC; all that it reads is filtered to the batch, so no other batch yields them and they "
		"would be lost%s. With meta.batchfs.outside: drop in the model's config such rows are left out",
		count_of((uint64_t)x->report.rows_outside, "row that the query yields has",
			 "rows that the query yields have")
			.text,
		start, end, zone);
	batch_undo(x);
	return BUILD_FAILED;
}

enum build_outcome batch_rows_failed(struct batch *x)
{
	enum build_outcome outcome = judge(x);
	explain(x);
	return outcome;
}

enum build_outcome batch_count_rows(struct batch *x)
{
	x->report.rows_inserted = strtoll(PQcmdTuples(x->rows.results[x->inserted]), NULL, 10);
	if (x->m->loses_outside)
		x->report.rows_outside = pg_int(x->rows.results[x->outside], 0, 0);
	return x->report.rows_outside > 0 ? refuse_outside(x) : BUILD_DONE;
}

enum build_outcome batch_read_rows(struct batch *x, bool *again)
{
	*again = x->rows.lost;
	if (*again)
		return BUILD_UNSTARTED;
	pg_cancel_arm(&x->w->cancel, true);
	int r = pg_receive(&x->rows, true, &x->err);
	pg_cancel_arm(&x->w->cancel, false);
	if (r && x->rows.lost)
		return judge_lost(x, r);
	/* The transaction before it has failed, and this one was never begun. */
	*again = r && x->rows.failed == 0 && strcmp(x->err.sqlstate, "25P02") == 0;
	if (*again)
		return BUILD_UNSTARTED;
	if (r && x->rows.failed == (int)x->fenced && strcmp(x->err.sqlstate, "22012") == 0)
		return BUILD_STALE;
	if (r)
		return batch_rows_failed(x);
	x->report.rows_deleted = strtoll(PQcmdTuples(x->rows.results[x->removed]), NULL, 10);
	return batch_count_rows(x);
}

enum build_outcome batch_read_end(struct batch *x, bool last)
{
	/* Not armed: an interrupt that comes now is too late. */
	return batch_ended(x, x->end.lost ? -ETIMEDOUT : pg_receive(&x->end, last, &x->err));
}

enum build_outcome batch_ended(struct batch *x, int r)
{
	if (r && x->end.lost)
		return judge_lost(x, r);
	if (r && x->end.failed == (int)x->finished && strcmp(x->err.sqlstate, "22012") == 0) {
		error_set(
			&x->err, EIO,
			"the row of batchfs.state that the batch had locked was gone before its COMMIT: a trigger of %s "
			"must not write to the schema batchfs",
			x->m->target);
		return BUILD_FAILED;
	}
	if (r)
		return judge(x);
	if (strcmp(PQcmdStatus(x->end.results[x->committed]), "COMMIT") != 0) {
		error_set(&x->err, EIO, "the transaction was rolled back at its COMMIT");
		return BUILD_FAILED;
	}
	/* The control connection has come to another server meanwhile: what counts is what is recorded there.
	 */
	if (!home_still(&x->w->conn)) {
		error_set(&x->err, EIO,
			  "the server on which the batch was committed is not the mount's any more");
		return judge_lost(x, -ETIMEDOUT);
	}
	x->report.rows_outside = pg_int(x->end.results[x->finished], 0, 0);
	return BUILD_DONE;
}

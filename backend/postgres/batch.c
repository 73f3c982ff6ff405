/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/batch.h"

#include <stdlib.h>
#include <string.h>

/* A plan made while the state table was small may read all of it once it is large. */
#define RUNS_A_PLAN 16

#define NAMED_BEGIN  "batchfs_begin"
#define NAMED_FENCE  "batchfs_fence"
#define NAMED_FINISH "batchfs_finish"
#define NAMED_COMMIT "batchfs_commit"

/*
 * The session has these settings; a model's SQL may have changed one. Each transaction makes sure of
 * them, before its first lock: asking is cheaper than setting.
 */
#define HAS(name, value)                                                                                     \
	" case when pg_catalog.current_setting('" name "') <> '" value "'"                                   \
	" then pg_catalog.set_config('" name "', '" value "', true) end"
#define SETTINGS_HOLD                                                                                        \
	" pg_catalog.concat(" HAS("row_security", "off") "," HAS("TimeZone", "UTC") "," HAS(                 \
		"DateStyle",                                                                                 \
		"ISO, MDY") "," HAS("standard_conforming_strings",                                           \
				    "on") "," HAS("client_min_messages",                                     \
						  "warning") "," HAS("lock_timeout",                         \
								     "5s") ","                               \
									   " case when "                     \
									   "pg_catalog.current_setting('"    \
									   "search_path') not like "         \
									   "'%pg_temp%'"                     \
									   " then "                          \
									   "pg_catalog.set_config('search_"  \
									   "path', pg_catalog.concat_ws(', " \
									   "',"                              \
									   " nullif(pg_catalog.current_"     \
									   "setting('search_path'), ''), "   \
									   "'pg_temp'), true) end) is not "  \
									   "null"

/* Nothing was hit: another attempt has taken over. The division fails (22012) and ends the transaction. */
#define FENCE                                                                                                \
	"with u as (update batchfs.state set run = 0, outcome = 1, started = $4::timestamptz,"               \
	" code = $5, adopted = false, interruptions = 0, sqlstate = '', message = ''"                        \
	" where model = $1::int and window_start = $2::timestamptz and attempt = $3::int and run = 1"        \
	" and" SETTINGS_HOLD " returning 1) select 1 / count(*) from u"
#define FINISH                                                                                               \
	"with u as (update batchfs.state set finished = $4::timestamptz, built = $4::timestamptz,"           \
	" rows_deleted = $5::bigint, rows_inserted = $6::bigint, rows_outside ="                             \
	" coalesce(nullif(pg_catalog.current_setting('batchfs.rows_outside', true), ''), '0')::bigint"       \
	" where model = $1::int and window_start = $2::timestamptz"                                          \
	" returning attempt, started, rows_outside, request),"                                               \
	" told as (insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, seconds," \
	" rows_deleted, rows_inserted, rows_outside, request) select $1::int, $2::timestamptz, attempt, "    \
	"$3::bigint,"                                                                                        \
	" 'done', $4::timestamptz, extract(epoch from $4::timestamptz - started), $5::bigint, $6::bigint,"   \
	" rows_outside, request from u) select rows_outside from u"

int batch_prepare(struct worker *w, struct error *err)
{
	bool first = w->prepared != w->conn.generation;
	if (!first && ++w->runs % RUNS_A_PLAN != 0)
		return 0;
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	if (first) {
		pg_add(&p, worker_session, NULL);
		pg_add_prepare(&p, NAMED_BEGIN, "begin isolation level read committed read write");
		pg_add_prepare(&p, NAMED_COMMIT, "commit");
	} else {
		pg_add(&p, "deallocate " NAMED_FENCE, NULL);
		pg_add(&p, "deallocate " NAMED_FINISH, NULL);
	}
	pg_add_prepare(&p, NAMED_FENCE, FENCE);
	pg_add_prepare(&p, NAMED_FINISH, FINISH);
	int r = pg_run(&p, err);
	if (!r)
		w->prepared = w->conn.generation;
	else
		pg_disconnect(&w->conn); /* which of them are there is not known */
	return r;
}

bool batch_init(struct batch *x, struct worker *w, struct pg_model *m, const struct pg_shape *shape,
		ordinal day, uint32_t attempt)
{
	*x = (struct batch){.w = w, .m = m, .shape = shape, .remove = STRBUF_INIT, .insert = STRBUF_INIT};
	x->rows = (struct pg_pipe)PG_PIPE(&w->conn, PG_NO_DEADLINE);
	x->end = (struct pg_pipe)PG_PIPE(&w->conn, PG_NO_DEADLINE);
	x->report = (struct build_report){.outcome = BUILD_STARTED,
					  .batch = day,
					  .attempt = attempt,
					  .started = clock_now_us(w->store->config->clock),
					  .rows_deleted = -1,
					  .rows_inserted = -1,
					  .rows_outside = -1};
	return !render_delete(m, shape, day, &x->remove, &x->err) &&
	       !render_insert(m, shape, day, &x->insert, &x->err);
}

void batch_fini(struct batch *x)
{
	strbuf_fini(&x->remove);
	strbuf_fini(&x->insert);
	pg_pipe_fini(&x->rows);
	pg_pipe_fini(&x->end);
}

static void put_key(const struct batch *x, struct pg_params *params)
{
	pg_param_int(params, x->m->id);
	pg_param_time(params, calendar_start(x->m->model->batch_size, x->report.batch));
}

/* Empty again: a batch is sent once more after the one before it has taken the connection with it. */
static void renew(struct batch *x, struct pg_pipe *p)
{
	pg_pipe_fini(p);
	*p = (struct pg_pipe)PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
}

void batch_send_rows(struct batch *x)
{
	struct pg_params fence = {0};
	put_key(x, &fence);
	pg_param_int(&fence, x->report.attempt);
	pg_param_time(&fence, x->report.started);
	pg_param_text(&fence, x->m->model->code);
	renew(x, &x->rows);
	pg_add_named(&x->rows, NAMED_BEGIN, NULL);
	x->fenced = pg_add_named(&x->rows, NAMED_FENCE, &fence);
	x->removed = pg_add(&x->rows, x->remove.str, NULL);
	x->inserted = pg_add(&x->rows, x->insert.str, NULL);
	pg_send(&x->rows, &x->err);
}

void batch_send_end(struct batch *x)
{
	x->report.finished = clock_now_us(x->w->store->config->clock);
	struct pg_params params = {0};
	put_key(x, &params);
	pg_param_int(&params, x->w->store->owner);
	pg_param_time(&params, x->report.finished);
	pg_param_int(&params, x->report.rows_deleted);
	pg_param_int(&params, x->report.rows_inserted);
	renew(x, &x->end);
	x->finished = pg_add_named(&x->end, NAMED_FINISH, &params);
	x->committed = pg_add_named(&x->end, NAMED_COMMIT, NULL);
	pg_send(&x->end, &x->err);
}

/* What an error means for the batch, where the connection still stands. */
static enum build_outcome judge(const struct batch *x)
{
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

/* A right that is missing is named with its GRANT. */
static void explain(struct batch *x)
{
	struct error why = {0};
	if (strcmp(x->err.sqlstate, "42501") == 0 && x->w->conn.pq &&
	    check_rights(&x->w->conn, x->m, x->shape->oid, pg_deadline(x->w->store), &why) == -EACCES)
		x->err = why;
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
	if (r) {
		enum build_outcome outcome = judge(x);
		explain(x);
		return outcome;
	}
	x->report.rows_deleted = strtoll(PQcmdTuples(x->rows.results[x->removed]), NULL, 10);
	x->report.rows_inserted = strtoll(PQcmdTuples(x->rows.results[x->inserted]), NULL, 10);
	return BUILD_DONE;
}

enum build_outcome batch_read_end(struct batch *x, bool last)
{
	/* Not armed: an interrupt that comes now is too late. */
	int r = x->end.lost ? -ETIMEDOUT : pg_receive(&x->end, last, &x->err);
	if (r && x->end.lost)
		return judge_lost(x, r);
	if (r)
		return judge(x);
	if (strcmp(PQcmdStatus(x->end.results[x->committed]), "COMMIT") != 0) {
		error_set(&x->err, EIO, "the transaction was rolled back at its COMMIT");
		return BUILD_FAILED;
	}
	x->report.rows_outside = pg_int(x->end.results[x->finished], 0, 0);
	return BUILD_DONE;
}

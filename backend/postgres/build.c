/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds a run of batches, each in one transaction of two flushes:
 *
 *   BEGIN, settings, fence (the state row, first write of all), DELETE, INSERT
 *   counts into the state row, history, COMMIT
 *
 * Two, so that the counts that only the answers tell are committed with the rows, and a
 * daemon that is killed never leaves a batch that commits by itself.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/pgstore.h"

#define BEGIN  "begin isolation level read committed read write"
#define NAMED_SETTINGS "batchfs_settings"
#define NAMED_FENCE    "batchfs_fence"
#define NAMED_FINISH   "batchfs_finish"

/* Nothing was hit: another attempt has taken over. The division fails (22012) and ends the transaction. */
#define FENCE                                                                                          \
	"with u as (update batchfs.state set run = 0, outcome = 1, started = $4::timestamptz,"         \
	" code = $5, adopted = false, interruptions = 0, sqlstate = '', message = ''"                  \
	" where model = $1::int and window_start = $2::timestamptz and attempt = $3::int and run = 1"  \
	" returning 1) select 1 / count(*) from u"
#define FINISH                                                                                              \
	"with u as (update batchfs.state set finished = $4::timestamptz, built = $4::timestamptz,"          \
	" rows_deleted = $5::bigint, rows_inserted = $6::bigint, rows_outside ="                            \
	" coalesce(nullif(pg_catalog.current_setting('batchfs.rows_outside', true), ''), '0')::bigint"      \
	" where model = $1::int and window_start = $2::timestamptz"                                         \
	" returning attempt, started, rows_outside, request),"                                              \
	" told as (insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, seconds," \
	" rows_deleted, rows_inserted, rows_outside, request) select $1::int, $2::timestamptz, attempt, $3::bigint," \
	" 'done', $4::timestamptz, extract(epoch from $4::timestamptz - started), $5::bigint, $6::bigint,"  \
	" rows_outside, request from u) select rows_outside from u"

struct build {
	struct worker *w;
	struct pg_model *m;
	struct pg_shape *shape;
	const struct build_run *run;
	build_report_fn *report;
	void *ctx;
};

static int prepare_statements(struct worker *w, struct error *err)
{
	if (w->prepared == w->conn.generation)
		return 0;
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	pg_add_prepare(&p, NAMED_SETTINGS, worker_settings);
	pg_add_prepare(&p, NAMED_FENCE, FENCE);
	pg_add_prepare(&p, NAMED_FINISH, FINISH);
	int r = pg_run(&p, err);
	if (!r)
		w->prepared = w->conn.generation;
	return r;
}

static void put_key(const struct build *b, const struct build_report *report, struct pg_params *params)
{
	pg_param_int(params, b->m->id);
	pg_param_time(params, calendar_start(b->m->model->batch_size, report->batch));
}

/* What an error means for the batch, where the connection still stands. */
static enum build_outcome judge(const struct build *b, const struct error *err)
{
	if (strcmp(err->sqlstate, "57014") == 0 && pg_cancel_asked(&b->w->cancel))
		return BUILD_INTERRUPTED;
	return passing_state(err->sqlstate) ? BUILD_PASSING : BUILD_FAILED;
}

static enum build_outcome judge_lost(const struct build *b, struct build_report *report, int r, struct error *err)
{
	/* Abandoned, or interrupted without reaching the server: no COMMIT was sent. */
	if (r == -ECANCELED || r == -EINTR)
		return BUILD_INTERRUPTED;
	return resolve(b->w, b->m, report, err);
}

static void explain(const struct build *b, struct error *err)
{
	struct error why = {0};
	if (strcmp(err->sqlstate, "42501") == 0 && b->w->conn.pq &&
	    check_rights(&b->w->conn, b->m, b->shape->oid, pg_deadline(b->w->store), &why) == -EACCES)
		*err = why;
}

static enum build_outcome replace_rows(const struct build *b, struct build_report *report, struct error *err)
{
	auto_strbuf remove = STRBUF_INIT, insert = STRBUF_INIT;
	if (render_delete(b->m, b->shape, report->batch, &remove, err) ||
	    render_insert(b->m, b->shape, report->batch, &insert, err))
		return BUILD_FAILED;
	struct pg_params fence = {0};
	put_key(b, report, &fence);
	pg_param_int(&fence, report->attempt);
	pg_param_time(&fence, report->started);
	pg_param_text(&fence, b->m->model->code);
	auto_pipe p = PG_PIPE(&b->w->conn, PG_NO_DEADLINE);
	p.broken = strbuf_broken(&remove) || strbuf_broken(&insert);
	pg_add(&p, BEGIN, NULL);
	pg_add_named(&p, NAMED_SETTINGS, NULL);
	size_t fenced = pg_add_named(&p, NAMED_FENCE, &fence);
	size_t removed = pg_add(&p, remove.str, NULL);
	size_t inserted = pg_add(&p, insert.str, NULL);
	pg_cancel_arm(&b->w->cancel, true);
	int r = pg_run(&p, err);
	pg_cancel_arm(&b->w->cancel, false);
	if (r && p.lost)
		return judge_lost(b, report, r, err);
	if (r && p.failed == (int)fenced && strcmp(err->sqlstate, "22012") == 0)
		return BUILD_STALE;
	if (r) {
		enum build_outcome outcome = judge(b, err);
		explain(b, err);
		return outcome;
	}
	report->rows_deleted = strtoll(PQcmdTuples(p.results[removed]), NULL, 10);
	report->rows_inserted = strtoll(PQcmdTuples(p.results[inserted]), NULL, 10);
	return BUILD_DONE;
}

static enum build_outcome undo(const struct build *b, struct error *err)
{
	auto_result *undone = NULL;
	pg_query(&b->w->conn, pg_deadline(b->w->store), "rollback", NULL, &undone, NULL);
	error_set(err, EINTR, "interrupted");
	return BUILD_INTERRUPTED;
}

/* Not armed: an interrupt that comes now is too late. */
static enum build_outcome commit(const struct build *b, struct build_report *report, struct error *err)
{
	report->finished = clock_now_us(b->w->store->config->clock);
	struct pg_params params = {0};
	put_key(b, report, &params);
	pg_param_int(&params, b->w->store->owner);
	pg_param_time(&params, report->finished);
	pg_param_int(&params, report->rows_deleted);
	pg_param_int(&params, report->rows_inserted);
	auto_pipe p = PG_PIPE(&b->w->conn, PG_NO_DEADLINE);
	size_t finished = pg_add_named(&p, NAMED_FINISH, &params);
	size_t committed = pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	/* Abandoned while the answer to COMMIT is out: nobody is left to be told, the row says it. */
	if (r && p.lost)
		return judge_lost(b, report, r, err);
	if (r)
		return judge(b, err);
	if (strcmp(PQcmdStatus(p.results[committed]), "COMMIT") != 0) {
		error_set(err, EIO, "the transaction was rolled back at its COMMIT");
		return BUILD_FAILED;
	}
	report->rows_outside = pg_int(p.results[finished], 0, 0);
	return BUILD_DONE;
}

static enum build_outcome build_batch(const struct build *b, struct build_report *report, struct error *err)
{
	/* A transaction of an earlier batch that was resolved has taken the connection with it. */
	int r = pg_connect(&b->w->conn, pg_deadline(b->w->store), err);
	if (!r)
		r = prepare_statements(b->w, err);
	if (r)
		return r == -ECANCELED ? BUILD_INTERRUPTED : BUILD_PASSING;
	enum build_outcome outcome = replace_rows(b, report, err);
	/* Resolved as done: it is committed. */
	if (outcome != BUILD_DONE || report->finished)
		return outcome;
	return pg_cancel_asked(&b->w->cancel) ? undo(b, err) : commit(b, report, err);
}

static enum build_outcome build_one(const struct build *b, uint32_t i)
{
	const struct clock *clock = b->w->store->config->clock;
	struct error err = {0};
	struct build_report report = {.outcome = BUILD_STARTED,
				      .batch = b->run->first + i,
				      .attempt = b->run->attempt[i],
				      .started = clock_now_us(clock),
				      .rows_deleted = -1,
				      .rows_inserted = -1,
				      .rows_outside = -1};
	b->report(b->ctx, &report);
	report.outcome = build_batch(b, &report, &err);
	if (report.outcome == BUILD_DONE)
		store_changed(b->w->store);
	else
		report.finished = clock_now_us(clock);
	report.err = err.err ? &err : NULL;
	b->report(b->ctx, &report);
	return report.outcome;
}

/* Every batch from `i` on that has an attempt gets this outcome without having begun. */
static void leave(const struct build *b, uint32_t i, enum build_outcome outcome, const struct error *err)
{
	int64_t now = clock_now_us(b->w->store->config->clock);
	for (; i < b->run->count; i++) {
		struct build_report report = {.outcome = outcome,
					      .batch = b->run->first + i,
					      .attempt = b->run->attempt[i],
					      .started = now,
					      .finished = now,
					      .rows_deleted = -1,
					      .rows_inserted = -1,
					      .rows_outside = -1,
					      .err = err};
		if (!report.attempt)
			continue;
		b->report(b->ctx, &report);
		if (outcome == BUILD_PASSING)
			outcome = BUILD_UNSTARTED;
	}
}

static void build_all(const struct build *b)
{
	uint32_t i = 0;
	for (; i < b->run->count && !pg_cancel_asked(&b->w->cancel); i++) {
		if (!b->run->attempt[i])
			continue;
		enum build_outcome outcome = build_one(b, i);
		if (outcome == BUILD_PASSING || outcome == BUILD_INTERRUPTED) {
			i++;
			break;
		}
	}
	leave(b, i, BUILD_UNSTARTED, NULL);
}

/* Whether the target still is the one that was prepared, and what its columns and the types are now. */
static int look(struct build *b, struct error *err)
{
	struct worker *w = b->w;
	struct store *s = w->store;
	int r = pg_connect(&w->conn, pg_deadline(s), err);
	if (!r)
		r = prepare_statements(w, err);
	if (!r)
		r = shape_read(s, &w->conn, &b->m, 1, &b->shape, pg_deadline(s), err);
	if (r)
		return r;
	uint32_t accepted;
	{
		LOCKED(&s->lock);
		accepted = b->m->accepted;
	}
	if (!b->shape->oid || b->shape->oid != accepted)
		return error_set(err, EAGAIN, "%s is not the table that was prepared", b->m->target);
	shape_keep(s, b->m, b->shape);
	return 0;
}

int pg_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx, struct error *err)
{
	struct build b = {.w = w, .m = &w->store->models[run->model], .run = run, .report = report, .ctx = ctx};
	struct error why = {0};
	pg_cancel_forget(&w->cancel);
	int r = look(&b, &why);
	if (r == -EAGAIN) {
		leave(&b, 0, BUILD_UNSTARTED, NULL);
		if (err)
			*err = why;
	} else if (r == -ECANCELED) {
		leave(&b, 0, BUILD_UNSTARTED, NULL);
	} else if (r) {
		leave(&b, 0, BUILD_PASSING, &why);
	} else if (b.shape->why_not.err) {
		leave(&b, 0, BUILD_FAILED, &b.shape->why_not);
	} else {
		build_all(&b);
	}
	shape_put(w->store, b.shape);
	return r == -EAGAIN ? r : 0;
}

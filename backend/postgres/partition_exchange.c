/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/partition_exchange.h"

#include <stdlib.h>
#include <string.h>

#include "backend/postgres/partition.h"
#include "backend/postgres/sql.h"

/* A reader waits behind us for LOCK_TIMEOUT at most, once in so often (facts/postgres.md §2); the statements
 * that hold the lock end within STATEMENT_TIMEOUT, or are undone. */
#define LOCK_TIMEOUT	  "set local lock_timeout = '50ms'"
#define STATEMENT_TIMEOUT "set local statement_timeout = '200ms'"
#define NO_TIMEOUT	  "set local statement_timeout = 0"
#define AGAIN_US	  150000
#define TRIES		  20

/* When a statement of the plan is sent: its second column. */
enum exchange_step {
	STEP_BESIDE, /* no statement: the name of the table beside */
	STEP_MAKE,
	STEP_FILLED, /* indexes, and what is to hold after the INSERT */
	STEP_LOCK,
	STEP_COUNT,
	STEP_EXCHANGE,
};

void exchanges_fini(struct exchanges *e)
{
	PQclear(e->plan);
}

static int ask_any(struct worker *w, const struct pg_model *m, const struct build_run *run,
		   const struct pg_shape *shape, bool *any, struct error *err)
{
	enum batch_size size = m->model->batch_size;
	struct pg_params params = {0};
	auto_result *r = NULL;
	pg_param_int(&params, shape->oid);
	pg_param_int(&params, pg_id(m));
	pg_param_time(&params, calendar_start(size, run->first));
	pg_param_time(&params, calendar_start(size, run->first + run->count));
	pg_param_int(&params, run->count);
	pg_param_int(&params, PARTITION_EXCHANGE_ROWS);
	int failed = pg_query(&w->conn, pg_deadline(w->store), SQL_PARTITION_ANY_LARGE, &params, &r, err);
	*any = !failed && pg_bool(r, 0, 0);
	return failed;
}

static int ask(struct worker *w, const struct pg_model *m, const struct build_run *run,
	       const struct pg_shape *shape, struct exchanges *out, struct error *err)
{
	enum batch_size size = m->model->batch_size;
	auto_columns c;
	struct pg_params params = {0};
	pg_columns_init(&c, 2);
	for (uint32_t i = 0; i < run->count; i++) {
		pg_array_time(&c.column[0], calendar_start(size, run->first + i));
		pg_array_time(&c.column[1], calendar_start(size, run->first + i + 1));
	}
	pg_columns_end(&c);
	if (pg_columns_broken(&c))
		return error_set(err, ENOMEM, "no memory for the partitions of %s", m->target);
	pg_param_int(&params, shape->oid);
	pg_param_int(&params, pg_id(m));
	pg_param_columns(&params, &c, 0, 2);
	pg_param_int(&params, PARTITION_EXCHANGE_ROWS);
	out->first = run->first;
	return pg_query(&w->conn, pg_deadline(w->store), SQL_PARTITION_EXCHANGES, &params, &out->plan, err);
}

int exchanges_ready(struct worker *w, const struct pg_model *m, const struct build_run *run,
		    const struct pg_shape *shape, struct exchanges *out, struct error *refused,
		    struct error *err)
{
	int r = partition_made(m, shape) ? partition_make(w, m, run, shape, refused, err) : 0;
	bool any = false;
	if (!r && partition_exchanged(m, shape))
		r = ask_any(w, m, run, shape, &any, err);
	return any ? ask(w, m, run, shape, out, err) : r;
}

/* The next row of the plan behind `row` for the batch and the step; -1: there is none. Start with -1. */
static int next(const struct exchanges *e, ordinal batch, enum exchange_step step, int row)
{
	for (row++; e->plan && row < PQntuples(e->plan); row++)
		if (pg_int(e->plan, row, 0) == batch - e->first + 1 && pg_int(e->plan, row, 1) == step)
			return row;
	return -1;
}

bool exchanges_has(const struct exchanges *e, ordinal batch)
{
	return next(e, batch, STEP_BESIDE, -1) >= 0;
}

static const char *beside(const struct batch *x, const struct exchanges *e)
{
	return pg_text(e->plan, next(e, x->report.batch, STEP_BESIDE, -1), 2);
}

/* Returns the number of the last one. */
static size_t add_step(const struct batch *x, const struct exchanges *e, enum exchange_step step,
		       struct pg_pipe *p)
{
	size_t last = SIZE_MAX;
	for (int row = -1; (row = next(e, x->report.batch, step, row)) >= 0;)
		last = pg_add(p, pg_text(e->plan, row, 2), NULL);
	return last;
}

static int go_back(struct batch *x, const char *statement)
{
	auto_result *done = NULL;
	return pg_query(&x->w->conn, pg_deadline(x->w->store), statement, NULL, &done, &x->err);
}

static void send_fill(struct batch *x, const struct exchanges *e)
{
	batch_renew(x, &x->rows);
	x->fenced = batch_add_fence(x, &x->rows);
	x->removed = SIZE_MAX;
	pg_add(&x->rows, "savepoint batchfs_beside", NULL);
	header_add(&x->rows, x->m->model);
	add_step(x, e, STEP_MAKE, &x->rows);
	batch_add_insert(x);
	add_step(x, e, STEP_FILLED, &x->rows);
	pg_add(&x->rows, "savepoint batchfs_filled", NULL);
	pg_send(&x->rows, &x->err);
}

/* Fills the table beside. *as_before: the batch is to be built as any other, in the transaction that is open.
 */
static enum build_outcome fill(struct batch *x, const struct exchanges *e, bool *as_before)
{
	*as_before = false;
	send_fill(x, e);
	pg_cancel_arm(&x->w->cancel, true);
	int r = x->rows.lost ? -ETIMEDOUT : pg_receive(&x->rows, false, &x->err);
	pg_cancel_arm(&x->w->cancel, false);
	if (!r)
		return batch_count_rows(x);
	if (x->rows.lost)
		return batch_failed(x, r);
	int failed = x->rows.failed;
	/* A constraint that a row breaks (class 23) is to be told as of the partition, not of the table
	 * beside. */
	bool of_query = failed == (int)x->inserted && strncmp(x->err.sqlstate, "23", 2) != 0;
	*as_before = failed > (int)x->fenced && !of_query && !pg_cancel_asked(&x->w->cancel);
	if (*as_before)
		return BUILD_UNSTARTED;
	batch_undo(x);
	if (failed == (int)x->fenced && strcmp(x->err.sqlstate, "22012") == 0)
		return BUILD_STALE;
	return failed == (int)x->inserted ? batch_rows_failed(x) : batch_failed(x, r);
}

static enum build_outcome end(struct batch *x, const struct build_run *run)
{
	if (!build_wanted(run, x->report.batch)) {
		batch_undo(x);
		return BUILD_INTERRUPTED;
	}
	batch_send_end(x);
	return batch_read_end(x, true);
}

static enum build_outcome build_as_before(struct batch *x, const struct build_run *run)
{
	bool again = false;
	int r = go_back(x, "rollback to savepoint batchfs_beside");
	if (r)
		return batch_failed(x, r);
	x->err = (struct error){0};
	x->begun = true;
	batch_send_rows(x);
	enum build_outcome outcome = batch_read_rows(x, &again);
	if (again)
		return batch_failed(x, -ETIMEDOUT);
	return outcome == BUILD_DONE ? end(x, run) : outcome;
}

/* The target is not to be had for ourselves: the rows that were computed are copied into it. */
static enum build_outcome copy(struct batch *x, const struct build_run *run, const struct exchanges *e)
{
	const char *from = beside(x, e);
	auto_strbuf insert = STRBUF_INIT, drop = STRBUF_INIT;
	strbuf_printf(&insert, "insert into %s (%s) select %s from %s", x->m->target, x->shape->columns,
		      x->shape->columns, from);
	strbuf_printf(&drop, "drop table %s", from);
	auto_pipe p = PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
	p.broken = strbuf_broken(&insert) || strbuf_broken(&drop);
	size_t removed = pg_add(&p, x->remove.str, NULL), inserted = pg_add(&p, insert.str, NULL);
	pg_add(&p, drop.str, NULL);
	pg_cancel_arm(&x->w->cancel, true);
	x->err = (struct error){0};
	int r = pg_run(&p, &x->err);
	pg_cancel_arm(&x->w->cancel, false);
	if (r)
		return batch_failed(x, r);
	x->report.rows_deleted = strtoll(PQcmdTuples(p.results[removed]), NULL, 10);
	x->report.rows_inserted = strtoll(PQcmdTuples(p.results[inserted]), NULL, 10);
	return end(x, run);
}

/* The partition takes no more writes, and is counted. */
static int hold(struct batch *x, const struct exchanges *e)
{
	auto_pipe p = PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
	pg_add(&p, LOCK_TIMEOUT, NULL);
	add_step(x, e, STEP_LOCK, &p);
	size_t counted = add_step(x, e, STEP_COUNT, &p);
	int r = pg_send(&p, &x->err);
	if (!r)
		r = pg_receive(&p, false, &x->err);
	if (!r)
		x->report.rows_deleted = pg_int(p.results[counted], 0, 0);
	return r;
}

/* *taken: the batch has ended with it, one way or the other. */
static enum build_outcome take(struct batch *x, const struct exchanges *e, bool *taken)
{
	batch_renew(x, &x->end);
	pg_add(&x->end, STATEMENT_TIMEOUT, NULL);
	add_step(x, e, STEP_EXCHANGE, &x->end);
	pg_add(&x->end, NO_TIMEOUT, NULL);
	batch_add_end(x);
	int r = pg_send(&x->end, &x->err);
	if (!r)
		r = pg_receive(&x->end, false, &x->err);
	*taken = !r || x->end.lost || x->end.failed >= (int)x->finished;
	if (!*taken)
		return BUILD_UNSTARTED;
	if (r && !x->end.lost)
		batch_undo(x);
	return batch_ended(x, r);
}

/* Who is in the way may be gone in a moment: a lock, a deadlock, or the exchange has taken too long. */
static bool held_up(const struct error *err)
{
	return strcmp(err->sqlstate, "57014") == 0 || passing_state(err->sqlstate);
}

static enum build_outcome exchange(struct batch *x, const struct build_run *run, struct exchanges *e)
{
	int tries = e->held_up ? 1 : TRIES;
	for (int i = 0; i < tries; i++) {
		bool taken = false;
		enum build_outcome outcome = BUILD_UNSTARTED;
		if (i)
			pg_pause(x->w->conn.abandon_fd, clock_monotonic_us() + AGAIN_US);
		if (pg_cancel_asked(&x->w->cancel) || !build_wanted(run, x->report.batch)) {
			batch_undo(x);
			return BUILD_INTERRUPTED;
		}
		x->err = (struct error){0};
		int r = hold(x, e);
		if (!r)
			outcome = take(x, e, &taken);
		if (taken) {
			e->held_up &= outcome != BUILD_DONE;
			return outcome;
		}
		if (!x->w->conn.pq)
			return batch_failed(x, r);
		struct error why = x->err;
		r = go_back(x, "rollback to savepoint batchfs_filled");
		if (r)
			return batch_failed(x, r);
		e->held_up = held_up(&why);
		if (!e->held_up)
			break;
	}
	return copy(x, run, e);
}

static void swap(struct strbuf *a, struct strbuf *b)
{
	struct strbuf was = *a;
	*a = *b;
	*b = was;
}

enum build_outcome exchange_build(struct batch *x, const struct build_run *run, struct exchanges *e)
{
	auto_strbuf other = STRBUF_INIT;
	bool as_before;
	if (render_insert(x->m, x->shape, x->report.batch, beside(x, e), &other, &x->err))
		return BUILD_FAILED;
	swap(&x->insert, &other);
	enum build_outcome outcome = fill(x, e, &as_before);
	swap(&x->insert, &other);
	if (as_before)
		return build_as_before(x, run);
	return outcome == BUILD_DONE ? exchange(x, run, e) : outcome;
}

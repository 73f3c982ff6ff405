/* SPDX-License-Identifier: Apache-2.0 */
/* Builds a run of batches, oldest first, each in its own transaction (batch.h). */
#include <string.h>

#include "backend/kinds.h"
#include "backend/postgres/batch.h"
#include "backend/postgres/partition_exchange.h"
#include "backend/postgres/hooks.h"
#include "backend/postgres/partition.h"

struct build {
	struct worker *w;
	struct pg_model *m;
	struct pg_shape *shape;
	const struct build_run *run;
	build_report_fn *report;
	void *ctx;
	struct batch slots[2];
	struct batch *open;  /* its rows are in, its end is not sent; NULL: none */
	struct batch *ahead; /* sent behind the questions that open the run, not answered yet; NULL: none */
	struct pg_shape *guess; /* as it was sent; NULL: nothing was */
	struct exchanges exchanges;
	struct error refused;	  /* err != 0: the partitions cannot be made */
	struct run_marks started; /* that the batch has begun was told */
	bool clean;		  /* every batch so far is done */
};

/* Once: what was sent ahead may be sent again. */
static void tell_started(struct build *b, const struct batch *x)
{
	uint32_t i = x->report.batch - b->run->first;
	if (!run_marked(&b->started, i))
		b->report(b->ctx, &x->report);
	run_mark(&b->started, i);
}

/* Reports how a batch has ended; true: the run goes on. */
static bool ended(struct build *b, struct batch *x, enum build_outcome outcome)
{
	x->report.outcome = outcome;
	b->clean &= outcome == BUILD_DONE;
	if (outcome == BUILD_DONE)
		store_changed(b->w->store);
	else
		x->report.finished = clock_now_us(b->w->store->config->clock);
	x->report.err = build_traits(outcome)->reason && x->err.err ? &x->err : NULL;
	b->report(b->ctx, &x->report);
	batch_fini(x);
	/* What reads a failed batch is skipped before it starts: no other batch begins before that. */
	return build_traits(outcome)->goes_on;
}

/* The connection stands, with a session for the model. */
static int stand_by(struct build *b, struct batch *x)
{
	int r = pg_connect(&b->w->conn, pg_deadline(b->w->store), &x->err);
	return r || b->w->prepared == b->w->conn.generation ? r : batch_session(b->w, b->run->model, &x->err);
}

static enum build_outcome unready(int r)
{
	return r == -ECANCELED ? BUILD_INTERRUPTED : BUILD_PASSING;
}

/* Alone: nothing else is on the way. */
static enum build_outcome rows_alone(struct build *b, struct batch *x)
{
	bool again = false;
	int r = stand_by(b, x);
	if (r)
		return unready(r);
	batch_send_rows(x);
	enum build_outcome outcome = batch_read_rows(x, &again);
	/* Lost while it was sent: no answer, no COMMIT, but who knows how much of it has arrived. */
	return again ? resolve(b->w, b->m, &x->report, &x->err) : outcome;
}

/* Takes the open batch, if its COMMIT may be sent. Cancelled meanwhile: it is rolled back, and *on is false.
 */
static struct batch *take_open(struct build *b, bool *on)
{
	struct batch *x = b->open;
	b->open = NULL;
	*on = !x || build_wanted(b->run, x->report.batch);
	if (*on)
		return x;
	batch_undo(x);
	ended(b, x, BUILD_INTERRUPTED);
	return NULL;
}

static bool end_alone(struct build *b)
{
	bool on;
	struct batch *x = take_open(b, &on);
	if (!x)
		return on;
	batch_send_end(x);
	return ended(b, x, batch_read_end(x, true));
}

/* What was sent of a batch that is not to be built any more. */
static void take_back(struct batch *x)
{
	bool again;
	if (batch_read_rows(x, &again) == BUILD_DONE)
		batch_undo(x);
}

/* Ends the open batch while the next one's rows travel behind it. *sent: they did, and the connection stands.
 */
static bool end_before(struct build *b, struct batch *next, bool *sent)
{
	bool on;
	struct batch *before = take_open(b, &on);
	if (!before)
		return on;
	batch_send_end(before);
	if (!before->end.lost)
		batch_send_rows(next);
	bool with_next = !before->end.lost && !next->rows.lost;
	enum build_outcome outcome = batch_read_end(before, !with_next);
	/* Where it was lost, a new connection may stand by now, on which nothing was sent. */
	*sent = with_next && !before->end.lost;
	return ended(b, before, outcome);
}

/* *begun: `next` was, and is reported here or open now. True: the run goes on. */
static bool advance(struct build *b, struct batch *next, bool *begun)
{
	enum build_outcome outcome = BUILD_UNSTARTED;
	bool sent = next == b->ahead, again = true;
	b->ahead = NULL;
	*begun = !b->open || end_before(b, next, &sent);
	if (!*begun) {
		if (sent)
			take_back(next);
		batch_fini(next);
		return false;
	}
	tell_started(b, next);
	if (sent)
		outcome = batch_read_rows(next, &again);
	if (again) {
		next->err = (struct error){0};
		outcome = rows_alone(b, next);
	}
	if (outcome != BUILD_DONE)
		return ended(b, next, outcome);
	b->open = next;
	return true;
}

/* By steps of its own. */
static bool with_hooks(struct build *b, struct batch *x)
{
	tell_started(b, x);
	int r = pg_connect(&b->w->conn, pg_deadline(b->w->store), &x->err);
	if (!r)
		r = batch_session(b->w, b->run->model, &x->err);
	if (r)
		return ended(b, x, unready(r));
	return ended(b, x, hooks_build(x, b->run));
}

/* Behind the end of the one before: a batch whose partition is exchanged, or whose statements cannot be
 * written (a date column cut inside a day). */
static bool apart(struct build *b, struct batch *x, bool written, bool *begun)
{
	*begun = end_alone(b);
	if (!*begun) {
		batch_fini(x);
		return false;
	}
	tell_started(b, x);
	if (!written)
		return ended(b, x, BUILD_FAILED);
	int r = stand_by(b, x);
	return ended(b, x, r ? unready(r) : exchange_build(x, b->run, &b->exchanges));
}

/* From `i` to `end`, without having begun: the first that has an attempt gets this outcome, the rest is
 * unstarted. What fails so fails for what is true of all batches. */
static void leave_some(const struct build *b, uint32_t i, uint32_t end, enum build_outcome outcome,
		       const struct error *err)
{
	int64_t now = clock_now_us(b->w->store->config->clock);
	for (bool of_all = outcome == BUILD_FAILED; i < end; i++) {
		struct build_report report = {.outcome = outcome,
					      .batch = b->run->first + i,
					      .attempt = b->run->attempt[i],
					      .started = now,
					      .finished = now,
					      .rows_deleted = -1,
					      .rows_inserted = -1,
					      .rows_outside = -1,
					      .err = err,
					      .of_all = of_all};
		if (!report.attempt)
			continue;
		b->report(b->ctx, &report);
		outcome = BUILD_UNSTARTED;
		err = of_all ? err : NULL;
	}
}

static void leave(const struct build *b, uint32_t i, enum build_outcome outcome, const struct error *err)
{
	leave_some(b, i, b->run->count, outcome, err);
}

/* The run ends before batch i. What was sent ahead had begun for all who look, and was rolled back. */
static void end_before_batch(const struct build *b, uint32_t i)
{
	while (i < b->run->count && !b->run->attempt[i])
		i++;
	bool begun = i < b->run->count && run_marked(&b->started, i);
	leave(b, i, begun ? BUILD_INTERRUPTED : BUILD_UNSTARTED, NULL);
}

/* What was sent ahead is not built, or not so. */
static void take_back_ahead(struct build *b)
{
	if (!b->ahead)
		return;
	/* With the connection it is gone as well: the server rolls back. */
	if (b->w->conn.pq)
		take_back(b->ahead);
	batch_fini(b->ahead);
	b->ahead = NULL;
}

/* The slot for batch i, with its statements; it may stand there, and be on its way already. */
static struct batch *next_batch(struct build *b, uint32_t i, bool *written)
{
	*written = true;
	if (b->ahead)
		return b->ahead;
	struct batch *next = b->open == &b->slots[0] ? &b->slots[1] : &b->slots[0];
	*written = batch_init(next, b->w, b->m, b->shape, b->run->first + i, b->run->attempt[i]);
	return next;
}

static void build_all(struct build *b)
{
	uint32_t i = 0;
	bool on = true;
	for (; on && i < b->run->count && !pg_cancel_asked(&b->w->cancel); i++) {
		if (!b->run->attempt[i])
			continue;
		if (!build_wanted(b->run, b->run->first + i)) {
			take_back_ahead(b);
			leave_some(b, i, i + 1, BUILD_UNSTARTED, NULL);
			continue;
		}
		bool begun = true, written;
		struct batch *next = next_batch(b, i, &written);
		bool is_exchanged = written && exchanges_has(&b->exchanges, next->report.batch);
		on = !written || is_exchanged ? apart(b, next, written, &begun)
		     : b->m->model->n_hooks   ? with_hooks(b, next)
					      : advance(b, next, &begun);
		if (!begun)
			break;
	}
	take_back_ahead(b);
	/* Interrupted between two batches: what is complete is not thrown away. */
	end_alone(b);
	end_before_batch(b, i);
}

static uint32_t accepted(const struct build *b)
{
	LOCKED(&b->w->store->lock);
	return b->m->accepted;
}

/*
 * The first batch's rows travel behind the questions, written for the table as it was last seen; whether it
 * still is so is known before its COMMIT is sent.
 */
static void send_ahead(struct build *b)
{
	uint32_t i = 0;
	while (i < b->run->count && !b->run->attempt[i])
		i++;
	b->guess = describe_asks(b->m) ? NULL : shape_get(b->w->store, b->m);
	if (!b->guess || b->m->model->n_hooks || columns_may_change(b->m, b->guess) || !b->guess->oid ||
	    partition_made(b->m, b->guess) || partition_exchanged(b->m, b->guess) ||
	    b->guess->oid != accepted(b) || b->guess->why_not.err || i == b->run->count ||
	    pg_cancel_asked(&b->w->cancel) || !build_wanted(b->run, b->run->first + i))
		return;
	struct batch *x = &b->slots[0];
	if (!batch_init(x, b->w, b->m, b->guess, b->run->first + i, b->run->attempt[i])) {
		batch_fini(x);
		return;
	}
	tell_started(b, x);
	batch_send_rows(x);
	b->ahead = x;
}

/* What the session needs, and the questions whether the target still is the one that was prepared. */
static int open_run(struct build *b, struct error *err)
{
	struct worker *w = b->w;
	struct store *s = w->store;
	struct shape_asked asked;
	int r = pg_connect(&w->conn, pg_deadline(s), err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(s));
	batch_add_session(w, &p, b->run->model);
	r = shape_add(&p, &b->m, 1, &asked, err);
	if (!r)
		r = pg_send(&p, err);
	if (!r)
		send_ahead(b);
	if (!r)
		r = pg_receive(&p, !b->ahead, err);
	if (r) {
		pg_disconnect(&w->conn); /* what was carried out is not known; nothing was committed */
		return r;
	}
	batch_session_is(w, b->run->model);
	return shape_take(s, &p, &asked, &b->m, 1, &b->shape, err);
}

/* They are changed by prepare(), while no batch of the model is in flight. */
static int look_at_columns(struct build *b, struct error *err)
{
	struct error why = {0};
	int r = columns_compare(b->w, b->m, b->shape, false, &why);
	if (r == 1 || r == -EOPNOTSUPP)
		return error_set(err, EAGAIN, "the columns of %s are not what the query yields",
				 b->m->target);
	if (r && err)
		*err = why;
	return r;
}

/*
 * Whether the target still is the one that was prepared, and what its columns and the types are now. Once a
 * run: a batch holds its lock on the table until its commit, so that another table can take its place between
 * two batches only. Those behind it are built into the new one and are true of that; those before it are void
 * when follow() sees the new table, as all that was built into the former one.
 */
static int look(struct build *b, struct error *err)
{
	struct store *s = b->w->store;
	int r = open_run(b, err);
	if (r || !b->guess || !shape_same(b->m, b->guess, b->shape))
		take_back_ahead(b);
	if (!r && describe_asks(b->m))
		r = describe_types(s, &b->w->conn, &b->m, 1, &b->shape, pg_deadline(s), err);
	if (r)
		return r;
	if (!b->shape->oid || b->shape->oid != accepted(b))
		r = error_set(err, EAGAIN, "%s is not the table that was prepared", b->m->target);
	else if (!b->shape->why_not.err && columns_may_change(b->m, b->shape))
		r = look_at_columns(b, err);
	if (!r && !b->shape->why_not.err)
		r = exchanges_ready(b->w, b->m, b->run, b->shape, &b->exchanges, &b->refused, err);
	if (!r)
		shape_keep(s, b->m, b->shape);
	if (r || b->shape->why_not.err)
		take_back_ahead(b);
	return r;
}

int pg_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
	     struct error *err)
{
	auto_model struct pg_model *m = model_get(w->store, run->model);
	struct build b = {.w = w, .m = m, .run = run, .report = report, .ctx = ctx, .clean = m->sql};
	struct error why = {0};
	pg_cancel_forget(&w->cancel);
	int r = m->sql ? look(&b, &why) : 0;
	if (!m->sql) { /* Since it was claimed, a new manifest has made it one that is not built here. */
		leave(&b, 0, BUILD_UNSTARTED, NULL);
	} else if (r == -EAGAIN) {
		leave(&b, 0, BUILD_UNSTARTED, NULL);
		if (err)
			*err = why;
	} else if (r == -ECANCELED) {
		end_before_batch(&b, 0);
	} else if (r) {
		leave(&b, 0, BUILD_PASSING, &why);
	} else if (b.shape->why_not.err) {
		leave(&b, 0, BUILD_FAILED, &b.shape->why_not);
	} else if (b.refused.err) {
		leave(&b, 0, BUILD_FAILED, &b.refused);
	} else {
		build_all(&b);
	}
	w->clean = b.clean && !r && !m->model->n_hooks; /* a hook may leave something in the session */
	exchanges_fini(&b.exchanges);
	shape_put(w->store, b.guess);
	shape_put(w->store, b.shape);
	return r == -EAGAIN ? r : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One batch's transaction, in two parts that travel apart:
 *
 *   rows   BEGIN, fence (the state row: first write of all), DELETE, INSERT
 *   end    counts into the state row, history, COMMIT
 *
 * Two, so that the counts that only the answers tell are committed with the rows, and a
 * daemon that is killed never leaves a batch that commits by itself. The end of one batch
 * and the rows of the next travel together.
 */
#ifndef BATCHFS_POSTGRES_BATCH_H
#define BATCHFS_POSTGRES_BATCH_H

#include "backend/postgres/pgstore.h"

struct batch {
	struct worker *w;
	struct pg_model *m;
	const struct pg_shape *shape;
	struct build_report report;
	struct error err;
	struct strbuf remove, insert;
	struct pg_pipe rows, end;
	size_t fenced, removed, inserted, outside, finished, committed;
	bool begun; /* BEGIN and the fence were sent before: hooks.h */
};

/*
 * Queues what the session needs before batches of the model: made anew where another model's SQL has run in
 * it, or a batch of its own has ended badly there; and our named statements. Once that was carried out
 * batch_session_is(); if it failed, the connection is of no use.
 */
void batch_add_session(struct worker *w, struct pg_pipe *p, slot model);
void batch_session_is(struct worker *w, slot model);
/* All of that alone, where anything of it is needed. */
int batch_session(struct worker *w, slot model, struct error *err);

/*
 * What comes before anything else that is done with a target: a connection, the session of the model, and
 * what stands there now: *shape, which the caller puts, also after a failure.
 */
int batch_meet(struct worker *w, struct pg_model *m, struct pg_shape **shape, struct error *err);

/* report: its batch and attempt. False: the statements cannot be written, batch.err says why. */
bool batch_init(struct batch *x, struct worker *w, struct pg_model *m, const struct pg_shape *shape,
		ordinal batch, uint32_t attempt);
void batch_fini(struct batch *x);

/* model, start of the batch: what most of our statements begin with. */
void batch_put_key(const struct batch *x, struct pg_params *params);
/* Queues BEGIN and the fence; returns the fence's number. */
size_t batch_add_fence(const struct batch *x, struct pg_pipe *p);
/* Empty again: a batch is sent once more after the one before it has taken the connection with it. */
void batch_renew(struct batch *x, struct pg_pipe *p);
/* Its rows are in, or a part of them, and are not to stay. Where the connection is lost, the server rolls
 * back. */
void batch_undo(struct batch *x);
/* A step of it has failed with the errno r and x->err: what that means for the batch. */
enum build_outcome batch_failed(struct batch *x, int r);

/* Queue and send; a failure shows when the answer is read. */
void batch_send_rows(struct batch *x);
void batch_send_end(struct batch *x);
/* The parts of both, for who sends something of his own between them: partition_exchange.h. */
void batch_add_insert(struct batch *x);
void batch_add_end(struct batch *x);

/* DONE: the rows are in, and the end may be sent. Can be interrupted. *again: the failure is the batch's
 * before it. */
enum build_outcome batch_read_rows(struct batch *x, bool *again);
/* last: no rows of another batch are on the way. What is not known of a COMMIT is found out. */
enum build_outcome batch_read_end(struct batch *x, bool last);
/* The parts of both: a statement of x->rows has failed, nothing of the transaction is left; all of x->rows
 * has succeeded (FAILED: it yields rows outside of its window, which would be lost); x->end was received with
 * `r`. */
enum build_outcome batch_rows_failed(struct batch *x);
enum build_outcome batch_count_rows(struct batch *x);
enum build_outcome batch_ended(struct batch *x, int r);

#endif

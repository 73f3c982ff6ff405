/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/freeze.h"
#include "backend/kinds.h"
#include "backend/sqlite/queue/private.h"

struct requests {
	struct store *s;
	struct row_reader reader;
	sqlite3_stmt *find, *raise, *add, *cancel, *reason, *covered, *frozen;
};

static int requests_open(struct requests *q, struct store *s, struct error *err)
{
	const struct {
		sqlite3_stmt **stmt;
		const char *sql;
	} all[] = {
		{&q->find, SQL_REQUEST_KNOWN},	  {&q->raise, SQL_NEXT_SEQ},
		{&q->add, SQL_REQUEST_ADD},	  {&q->cancel, SQL_REQUEST_CANCEL},
		{&q->reason, SQL_REQUEST_REASON}, {&q->covered, SQL_REQUEST_COVERS},
		{&q->frozen, SQL_FREEZE_FIND},
	};
	q->s = s;
	int r = reader_open(&q->reader, &s->done, s->db, err);
	for (size_t i = 0; i < sizeof all / sizeof *all && r == 0; i++)
		r = db_prepare(s->db, all[i].sql, all[i].stmt, err);
	return r;
}

static void requests_close(struct requests *q)
{
	reader_close(&q->reader);
	sqlite3_finalize(q->find);
	sqlite3_finalize(q->raise);
	sqlite3_finalize(q->add);
	sqlite3_finalize(q->cancel);
	sqlite3_finalize(q->reason);
	sqlite3_finalize(q->covered);
	sqlite3_finalize(q->frozen);
}

/* 1: the statement has answered with id and seq; 0: no row; it is reset. */
static int answer(sqlite3_stmt *stmt, struct store_request *rq, struct error *err)
{
	int r = db_step(stmt, err);
	if (r == 1) {
		rq->id = sqlite3_column_int64(stmt, 0);
		rq->seq = sqlite3_column_int64(stmt, 1);
	}
	sqlite3_reset(stmt);
	return r;
}

/* Whether a batch in this state is what the name claimed. What is wanted and not begun is queued. */
static bool is_expected(const struct store_request *rq, const struct store_state *st, bool covered)
{
	bool same = st->attempt == rq->expected_attempt;
	bool idle = same && st->run == ROW_IDLE && !covered;
	switch ((enum batch_state)rq->expected) {
	case BATCH_RUNNING:
		return same && st->run == ROW_RUNNING;
	case BATCH_QUEUED: /* claimed and not begun looks so too: only the mount knows */
		return covered || st->run != ROW_IDLE;
	case BATCH_FAILED:
	case BATCH_SKIPPED:
	case BATCH_PENDING:
	case BATCH_PARTIAL:
	case BATCH_STALE:
	case BATCH_DONE:
		return idle && st->outcome == state_outcome((enum batch_state)rq->expected);
	case BATCH_UNKNOWN: /* only the mount knows, and has compared it */
	case BATCH_STATES:
		break;
	}
	return false;
}

static int check_expected(struct requests *q, struct store_request *rq, const struct queue_model *qm,
			  int64_t start, struct error *err)
{
	struct batch_row row;
	int r = reader_get(&q->reader, qm, start, &row, err);
	if (r == 0)
		r = db_bind(q->covered, err, "iii", qm->queue_id, row.state.served, start);
	if (r == 0)
		r = db_step(q->covered, err);
	sqlite3_reset(q->covered);
	if (r >= 0 && !is_expected(rq, &row.state, r == 1))
		rq->result = error_set(&rq->err, ENOENT, "the batch is no longer %s",
				       batch_state_name((enum batch_state)rq->expected));
	return r < 0 ? r : 0;
}

static int next_seq(struct requests *q, struct store_request *rq, const struct queue_model *qm,
		    struct error *err)
{
	int r = db_bind(q->raise, err, "i", qm->queue_id);
	if (r == 0)
		r = db_step(q->raise, err);
	rq->seq = r == 1 ? sqlite3_column_int64(q->raise, 0) : 0;
	sqlite3_reset(q->raise);
	if (r == 0)
		r = error_set(err, EIO, "%s has lost the model %s", q->s->path,
			      q->s->models[rq->model].model->dir);
	return r < 0 ? r : 0;
}

static int add(struct requests *q, struct store_request *rq, const struct queue_model *qm, int64_t start,
	       int64_t end, struct error *err)
{
	const struct model *m = q->s->models[rq->model].model;
	int r = next_seq(q, rq, qm, err);
	if (r < 0)
		return r;
	r = db_bind(q->add, err, "iiiiiittibt", qm->queue_id, rq->seq, start, end, (int64_t)rq->expected,
		    (int64_t)rq->uid, rq->command, m->code, rq->at, rq->uuid, rq->reason);
	if (r == 0)
		r = db_run(q->add, err);
	rq->id = sqlite3_last_insert_rowid(q->s->db);
	return r;
}

static int check_frozen(struct requests *q, struct store_request *rq, const struct queue_model *qm,
			int64_t start, struct error *err)
{
	const struct model *m = q->s->models[rq->model].model;
	struct store_freeze f;
	int r = freeze_of(q->frozen, m, qm->queue_id, start, &f, err);
	if (r == 1)
		rq->result = freeze_refuses(&rq->err, m, &f, rq->batches.first);
	return r < 0 ? r : 0;
}

static bool possible(const struct requests *q, struct store_request *rq, const struct queue_model *qm)
{
	if (qm->enlisted && qm->queue_id)
		return true;
	rq->result = error_set(&rq->err, EOPNOTSUPP, "%s cannot run on this warehouse",
			       q->s->models[rq->model].model->dir);
	return false;
}

static int one_freeze(struct requests *q, struct store_request *rq, struct error *err)
{
	struct queue_model qm = queue_model_of(q->s, rq->model);
	return possible(q, rq, &qm) ? freeze_change(q->s, &q->reader, rq, &qm, err) : 0;
}

static int one_build(struct requests *q, struct store_request *rq, struct error *err)
{
	const struct model *m = q->s->models[rq->model].model;
	struct queue_model qm = queue_model_of(q->s, rq->model);
	if (!possible(q, rq, &qm))
		return 0;
	int r = db_bind(q->find, err, "b", rq->uuid);
	if (r == 0)
		r = answer(q->find, rq, err);
	if (r != 0)
		return r < 0 ? r : 0;
	int64_t start = calendar_start(m->batch_size, rq->batches.first);
	if (rq->named)
		r = check_frozen(q, rq, &qm, start, err);
	if (r == 0 && rq->result == 0 && rq->expected >= 0)
		r = check_expected(q, rq, &qm, start, err);
	return r < 0 || rq->result < 0
		       ? r
		       : add(q, rq, &qm, start, calendar_start(m->batch_size, rq->batches.end), err);
}

static int add_piece(struct requests *q, struct store_request *rq, const struct queue_model *qm,
		     struct ordinal_range piece, struct error *err)
{
	enum batch_size size = q->s->models[rq->model].model->batch_size;
	struct ordinal_range *more = realloc(rq->pieces, (rq->n_pieces + 1) * sizeof *more);
	if (!more)
		return error_set(err, ENOMEM, "no memory for a cancel");
	rq->pieces = more;
	rq->pieces[rq->n_pieces++] = piece;
	/* Sent again, it has the same name. */
	unsigned char uuid[sizeof rq->uuid];
	memcpy(uuid, rq->uuid, sizeof uuid);
	for (size_t i = 0; i < sizeof piece.first; i++)
		uuid[sizeof uuid - 1 - i] ^= (unsigned char)((piece.first - rq->batches.first) >> 8 * i);
	int r = db_bind(q->cancel, err, "iiiiitib", qm->queue_id, rq->seq, calendar_start(size, piece.first),
			calendar_start(size, piece.end), (int64_t)rq->uid, rq->command, rq->at, uuid);
	return r == 0 ? db_run(q->cancel, err) : r;
}

/* A file has one mount, which carries it out as soon as it knows its place. Its rows say who cancelled. */
static int one_cancel(struct requests *q, struct store_request *rq, struct error *err)
{
	struct queue_model qm = queue_model_of(q->s, rq->model);
	enum batch_size size = q->s->models[rq->model].model->batch_size;
	auto_stmt *spared = NULL;
	ordinal from = rq->batches.first;
	if (!possible(q, rq, &qm))
		return 0;
	int r = next_seq(q, rq, &qm, err);
	if (r == 0)
		r = db_prepare(q->s->db, SQL_REQUEST_SPARED, &spared, err);
	if (r == 0)
		r = db_bind(spared, err, "iiiii", qm.queue_id, calendar_start(size, from),
			    calendar_start(size, rq->batches.end), rq->known.own, rq->of_request);
	while (r == 0 && (r = db_step(spared, err)) == 1) {
		ordinal first = calendar_ordinal(size, sqlite3_column_int64(spared, 0));
		ordinal end = calendar_ordinal(size, sqlite3_column_int64(spared, 1));
		r = from < first ? add_piece(q, rq, &qm, (struct ordinal_range){from, first}, err) : 0;
		from = end > from ? end : from;
	}
	if (r == 0 && from < rq->batches.end)
		r = add_piece(q, rq, &qm, (struct ordinal_range){from, rq->batches.end}, err);
	return r;
}

static int one_full(struct requests *q, struct store_request *rq, const struct store_request *all, size_t n,
		    struct error *err)
{
	struct queue_model qm = queue_model_of(q->s, rq->model);
	if (!possible(q, rq, &qm))
		return 0;
	int r = db_bind(q->find, err, "b", rq->uuid);
	if (r == 0)
		r = answer(q->find, rq, err);
	return r == 0 ? refresh_record(q->s, rq, &qm, all, n, err) : r < 0 ? r : 0;
}

static int one_reason(struct requests *q, struct store_request *rq, struct error *err)
{
	int r = db_bind(q->reason, err, "tb", rq->reason, rq->uuid);
	if (r == 0)
		r = answer(q->reason, rq, err);
	if (r == 0)
		rq->result = error_set(&rq->err, ENOENT, "the request is not known any more");
	return r < 0 ? r : 0;
}

static int one(struct requests *q, struct store_request *rq, const struct store_request *all, size_t n,
	       struct error *err)
{
	switch (rq->kind) {
	case REQUEST_BUILD:
		return one_build(q, rq, err);
	case REQUEST_FULL:
		return one_full(q, rq, all, n, err);
	case REQUEST_REASON:
		return one_reason(q, rq, err);
	case REQUEST_CANCEL:
		return one_cancel(q, rq, err);
	case REQUEST_FREEZE:
	case REQUEST_THAW:
	case REQUEST_PROTECT:
	case REQUEST_UNPROTECT:
		return one_freeze(q, rq, err);
	}
	return error_set(err, EINVAL, "a request of an unknown kind");
}

static int run(struct store *s, struct requests *q, struct store_request *requests, size_t n,
	       struct error *err)
{
	int r = queue_begin(s, err);
	if (r == 0)
		r = requests_open(q, s, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		requests[i].result = 0;
		r = one(q, &requests[i], requests, n, err);
	}
	requests_close(q);
	if (r == 0)
		r = queue_commit(s, err);
	db_rollback(s->db);
	return r;
}

/* Here a claim costs no way of its own: it comes by itself. */
int queue_request(struct store *s, struct store_request *requests, size_t n, struct store_claim *claim,
		  struct error *err)
{
	struct requests q = {0};
	int r = connect_control(s, err);
	return r == 0 ? run(s, &q, requests, n, err) : r;
}

int queue_retire(struct store *s, const int64_t *ids, size_t n, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = connect_control(s, err);
	if (r == 0)
		r = queue_begin(s, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_REQUEST_RETIRE, &stmt, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = db_bind(stmt, err, "i", ids[i]);
		if (r == 0)
			r = db_run(stmt, err);
	}
	if (r == 0)
		r = db_exec(s->db, SQL_ANSWERS_OVER, err);
	if (r == 0)
		r = queue_commit(s, err);
	if (s->db)
		db_rollback(s->db);
	return r;
}

/* One mount a file: whoever asked, no other mount has the former SQL. */
int queue_recode(struct store *s, slot model, const char *was, const struct store_sink *sink,
		 struct error *err)
{
	const struct queue_model *m = &s->models[model];
	auto_stmt *stmt = NULL;
	if (!m->enlisted || !m->queue_id)
		return 0;
	int r = connect_control(s, err);
	if (r == 0)
		r = queue_begin(s, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_REQUEST_RECODE, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "itt", m->queue_id, was, m->model->code);
	if (r == 0)
		r = db_run(stmt, err);
	if (r == 0)
		r = queue_commit(s, err);
	if (s->db)
		db_rollback(s->db);
	return r == 0 ? load_requests(s, s->db, model, m->queue_id, sink, err) : r;
}

/* One mount a file: what this one cannot build nobody can. */
int queue_orphans(struct store *s, struct store_orphan *list, size_t n, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = connect_control(s, err);
	if (r == 0)
		r = queue_begin(s, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_REQUEST_ORPHAN, &stmt, err);
	for (size_t i = 0; i < n && r == 0; i++) {
		r = db_bind(stmt, err, "i", list[i].request);
		if (r == 0)
			r = db_step(stmt, err);
		list[i].had = false;
		list[i].own = true;
		list[i].late = r == 1 && sqlite3_column_int(stmt, 0) != 0;
		sqlite3_reset(stmt);
		r = r < 0 ? r : 0;
	}
	if (r == 0)
		r = queue_commit(s, err);
	if (s->db)
		db_rollback(s->db);
	return r;
}

int queue_offer(struct store *s, sqlite3 *db, slot model, struct error *err)
{
	struct queue_model qm = queue_model_of(s, model);
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_REQUEST_UNORPHAN, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "it", qm.queue_id, qm.model->code);
	return r == 0 ? db_run(stmt, err) : r;
}

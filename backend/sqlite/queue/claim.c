/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/queue/private.h"

struct claims {
	struct store *s;
	struct row_reader reader;
	sqlite3_stmt *seq, *put, *drop, *frozen;
};

static int claims_open(struct claims *c, struct store *s, struct error *err)
{
	c->s = s;
	int r = reader_open(&c->reader, &s->done, s->db, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_MODEL_SEQ, &c->seq, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_FREEZE_FIND, &c->frozen, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_CLAIM, &c->put, err);
	if (r == 0)
		r = db_prepare(s->db, SQL_STATE_DROP, &c->drop, err);
	return r;
}

static void claims_close(struct claims *c)
{
	reader_close(&c->reader);
	sqlite3_finalize(c->seq);
	sqlite3_finalize(c->put);
	sqlite3_finalize(c->drop);
	sqlite3_finalize(c->frozen);
}

static int grant(struct claims *c, struct store_claim *claim, uint32_t i, const struct queue_model *qm,
		 struct error *err)
{
	const struct model *m = c->s->models[claim->model].model;
	int64_t start = calendar_start(m->batch_size, claim->first + i);
	struct batch_row row;
	struct store_freeze freeze;
	int r = freeze_of(c->frozen, m, qm->queue_id, start, &freeze, err);
	if (r)
		return r < 0 ? r : 0;
	r = reader_get(&c->reader, qm, start, &row, err);
	const struct store_state *st = &row.state;
	if (r < 0 || st->run == ROW_RUNNING || (st->run == ROW_IDLE && st->served >= claim->wanted))
		return r;
	uint32_t attempt = row.last_attempt + 1;
	if (row.damage[0]) {
		r = db_bind(c->drop, err, "ii", qm->queue_id, start);
		r = r == 0 ? db_run(c->drop, err) : r;
		if (r < 0)
			return r;
	}
	r = answer_unfold(&c->reader.answers, qm, start, &row, err);
	if (r < 0)
		return r;
	r = db_bind(c->put, err, "iiiiiiiii", qm->queue_id, start, qm->table_id, (int64_t)attempt,
		    claim->started, c->s->owner, claim->request ? claim->request : st->request, claim->served,
		    (int64_t)row.interruptions);
	if (r == 0)
		r = db_run(c->put, err);
	if (r == 0)
		claim->attempt[i] = attempt;
	return r;
}

static int one_claim(struct claims *c, struct store_claim *claim, struct error *err)
{
	struct queue_model qm = queue_model_of(c->s, claim->model);
	for (uint32_t i = 0; i < claim->count; i++)
		claim->attempt[i] = 0;
	claim->served = 0;
	if (!qm.enlisted || !qm.queue_id)
		return 0;
	int r = db_bind(c->seq, err, "i", qm.queue_id);
	if (r == 0)
		r = db_step(c->seq, err);
	claim->served = r == 1 ? sqlite3_column_int64(c->seq, 0) : 0;
	sqlite3_reset(c->seq);
	r = r < 0 ? r : 0;
	for (uint32_t i = 0; i < claim->count && r == 0; i++)
		r = grant(c, claim, i, &qm, err);
	return r;
}

int queue_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err)
{
	struct claims c = {0};
	int r = connect_control(s, err);
	if (r < 0)
		return r;
	r = queue_begin(s, err);
	if (r == 0)
		r = claims_open(&c, s, err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = one_claim(&c, &claims[i], err);
	claims_close(&c);
	if (r == 0)
		r = db_exec(s->db, "COMMIT", err);
	db_rollback(s->db);
	for (size_t i = 0; i < n && r < 0; i++)
		for (uint32_t k = 0; k < claims[i].count; k++)
			claims[i].attempt[k] = 0;
	return r;
}

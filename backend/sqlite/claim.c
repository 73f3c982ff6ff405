/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/private.h"

struct claims {
	struct store *s;
	struct row_reader reader;
	sqlite3_stmt *seq, *put, *frozen;
};

static int claims_open(struct claims *c, struct store *s, struct error *err)
{
	c->s = s;
	int r = reader_open(&c->reader, s->file_db, s->queue_db, err);
	if (r == 0)
		r = db_prepare(s->queue_db, "SELECT seq FROM model WHERE id = ?", &c->seq, err);
	if (r == 0)
		r = db_prepare(s->queue_db, freeze_find, &c->frozen, err);
	/* An outcome of another table under this name is void; of this one it stays until the next. */
	if (r == 0)
		r = db_prepare(s->queue_db,
			       "INSERT INTO state(model, start, table_id, attempt, running_since, owner, "
			       "request, served,"
			       " interruptions, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 1)"
			       " ON CONFLICT DO UPDATE SET table_id = ?3, attempt = ?4, running_since = ?5, "
			       "owner = ?6,"
			       " request = ?7, served = ?8, interruptions = ?9, run = 1,"
			       " outcome = CASE WHEN table_id = ?3 THEN outcome ELSE 0 END",
			       &c->put, err);
	return r;
}

static void claims_close(struct claims *c)
{
	reader_close(&c->reader);
	sqlite3_finalize(c->seq);
	sqlite3_finalize(c->put);
	sqlite3_finalize(c->frozen);
}

static int grant(struct claims *c, struct store_claim *claim, uint32_t i, const struct target *t,
		 struct error *err)
{
	const struct model *m = c->s->targets[claim->model].model;
	int64_t start = calendar_start(m->batch_size, claim->first + i);
	struct batch_row row;
	struct store_freeze freeze;
	int r = freeze_of(c->frozen, m, t->queue_id, start, &freeze, err);
	if (r)
		return r < 0 ? r : 0;
	r = reader_get(&c->reader, t, start, &row, err);
	const struct store_state *st = &row.state;
	if (r < 0 || st->run == ROW_RUNNING || (st->run == ROW_IDLE && st->served >= claim->wanted))
		return r;
	uint32_t attempt = row.last_attempt + 1;
	r = db_bind(c->put, err, "iiiiiiiii", t->queue_id, start, t->table_id, (int64_t)attempt,
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
	struct target t = target_copy(c->s, claim->model);
	for (uint32_t i = 0; i < claim->count; i++)
		claim->attempt[i] = 0;
	claim->served = 0;
	if (!t.enlisted || !t.queue_id)
		return 0;
	int r = db_bind(c->seq, err, "i", t.queue_id);
	if (r == 0)
		r = db_step(c->seq, err);
	claim->served = r == 1 ? sqlite3_column_int64(c->seq, 0) : 0;
	sqlite3_reset(c->seq);
	r = r < 0 ? r : 0;
	for (uint32_t i = 0; i < claim->count && r == 0; i++)
		r = grant(c, claim, i, &t, err);
	return r;
}

int sqlite_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err)
{
	struct claims c = {0};
	int r = connect_control(s, err);
	if (r < 0)
		return r;
	r = claims_open(&c, s, err);
	if (r == 0)
		r = db_exec(s->queue_db, "BEGIN IMMEDIATE", err);
	for (size_t i = 0; i < n && r == 0; i++)
		r = one_claim(&c, &claims[i], err);
	claims_close(&c);
	if (r == 0)
		r = db_exec(s->queue_db, "COMMIT", err);
	db_rollback(s->queue_db);
	for (size_t i = 0; i < n && r < 0; i++)
		for (uint32_t k = 0; k < claims[i].count; k++)
			claims[i].attempt[k] = 0;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Validations that were asked for: what a killed mount has left is carried out by the next one. */
#include "backend/sqlite/queue/private.h"

_Static_assert(VALIDATION_ASKED == 0 && VALIDATION_DONE == 1, "as validations.sql has them");

static void read_row(struct store *s, sqlite3_stmt *row, slot model, enum batch_size size,
		     struct store_validation *out)
{
	*out = (struct store_validation){
		.id = sqlite3_column_int64(row, 0),
		.model = model,
		.batches = VALIDATION_WHOLE,
		.state = (enum validation_state)sqlite3_column_int(row, 3),
		.asked_at = sqlite3_column_int64(row, 4),
		.at = sqlite3_column_int64(row, 5),
		.batches_looked = sqlite3_column_int64(row, 8),
		.pending = sqlite3_column_int64(row, 9),
		.found = sqlite3_column_int64(row, 10),
		.findings = db_text(row, 11),
		.message = db_text(row, 12),
	};
	out->mine = out->state == VALIDATION_ASKED && !s->config.read_only;
	if (sqlite3_column_type(row, 1) != SQLITE_NULL)
		out->batches =
			calendar_touched(size, sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2));
	out->looked = calendar_touched(size, sqlite3_column_int64(row, 6), sqlite3_column_int64(row, 7));
}

int load_validations(struct store *s, sqlite3 *db, slot model, const struct store_sink *sink,
		     struct error *err)
{
	struct queue_model qm = queue_model_of(s, model);
	auto_stmt *stmt = NULL;
	if (!sink->validation)
		return 0;
	int r = db_prepare(db, SQL_VALIDATIONS_OF, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "ii", qm.queue_id, qm.table_id);
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		struct store_validation v;
		read_row(s, stmt, model, qm.size, &v);
		sink->validation(sink->ctx, &v);
		r = 0;
	}
	return r;
}

static int ask(sqlite3 *db, const struct queue_model *qm, struct store_validation *v, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_VALIDATION_ASK, &stmt, err);
	if (r < 0)
		return r;
	if (validation_is_whole(v)) {
		r = db_bind(stmt, err, "i", qm->queue_id);
	} else {
		r = db_bind(stmt, err, "iii", qm->queue_id, calendar_start(qm->size, v->batches.first),
			    calendar_start(qm->size, v->batches.end));
	}
	if (r == 0 && sqlite3_bind_int64(stmt, 4, v->asked_at) != SQLITE_OK)
		r = db_error(db, err);
	if (r == 0)
		r = db_run(stmt, err);
	v->id = sqlite3_last_insert_rowid(db);
	return r;
}

static int end(sqlite3 *db, const struct queue_model *qm, struct store_validation *v, struct error *err)
{
	auto_stmt *stmt = NULL, *prune = NULL;
	int r = db_prepare(db, SQL_VALIDATION_END, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "iiiiiiiiitt", v->id, (int64_t)v->state, qm->table_id, v->at,
			    calendar_start(qm->size, v->looked.first),
			    calendar_start(qm->size, v->looked.end), v->batches_looked, v->pending, v->found,
			    v->findings, v->message);
	if (r == 0)
		r = db_run(stmt, err);
	if (r == 0 && sqlite3_changes(db) == 0)
		v->state = VALIDATION_CANCELLED;
	if (r == 0)
		r = db_prepare(db, SQL_VALIDATION_PRUNE, &prune, err);
	if (r == 0)
		r = db_bind(prune, err, "ii", qm->queue_id, (int64_t)VALIDATIONS_KEPT);
	return r == 0 ? db_run(prune, err) : r;
}

int queue_keep_validations(struct store *s, sqlite3 *db, struct store_validation *list, size_t n,
			   struct error *err)
{
	int r = db_exec(db, "BEGIN IMMEDIATE", err);
	for (size_t i = 0; i < n && r == 0; i++) {
		struct queue_model qm = queue_model_of(s, list[i].model);
		r = list[i].state == VALIDATION_ASKED ? ask(db, &qm, &list[i], err)
						      : end(db, &qm, &list[i], err);
	}
	if (r == 0)
		r = db_exec(db, "COMMIT", err);
	db_rollback(db);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The batches of a table that is elsewhere which somebody else has built, or emptied. */
#include "backend/sqlite/queue/private.h"

/* A batch that has changed. */
struct change {
	ordinal batch;
	uint32_t attempt;
	bool adopted; /* else its rows have gone */
};

struct adoption {
	struct store *s;
	sqlite3 *db;
	struct queue_model qm;
	const struct found_windows *found;
	int64_t now, begin; /* begin: of the model's first batch */
	struct change *changes;
	size_t n;
};

static bool add(struct adoption *a, ordinal batch, uint32_t attempt, bool adopted)
{
	/* Twice as many each time: at 1, 2, 4, 8 ... */
	if ((a->n & (a->n - 1)) == 0) {
		struct change *more = realloc(a->changes, (2 * a->n + 1) * sizeof *more);
		if (!more)
			return false;
		a->changes = more;
	}
	a->changes[a->n++] = (struct change){batch, attempt, adopted};
	return true;
}

static int adopt_found(struct adoption *a, struct error *err)
{
	auto_stmt *put = NULL;
	int r = db_prepare(a->db, SQL_ADOPT_FOUND, &put, err);
	for (size_t i = 0; r == 0 && i < a->found->n; i++) {
		ordinal batch = a->found->batches[i];
		r = db_bind(put, err, "iiii", a->qm.queue_id, calendar_start(a->qm.size, batch),
			    a->qm.table_id, a->now);
		if (r == 0)
			r = db_run(put, err);
		if (r == 0 && sqlite3_changes(a->db) && !add(a, batch, 0, true))
			r = error_set(err, ENOMEM, "no memory");
	}
	return r;
}

static bool holds_rows(const struct found_windows *f, ordinal batch)
{
	size_t first = 0, end = f->n;
	while (first < end) {
		size_t middle = first + (end - first) / 2;
		if (f->batches[middle] < batch)
			first = middle + 1;
		else
			end = middle;
	}
	return first < f->n && f->batches[first] == batch;
}

static int find_gone(struct adoption *a, struct error *err)
{
	auto_stmt *built = NULL;
	int r = db_prepare(a->db, SQL_ADOPT_BUILT, &built, err);
	if (r == 0)
		r = db_bind(built, err, "iiiii", a->qm.queue_id, a->qm.table_id, a->found->began,
			    (int64_t)a->found->there, a->begin);
	while (r == 0 && (r = db_step(built, err)) == 1) {
		ordinal batch = calendar_ordinal(a->qm.size, sqlite3_column_int64(built, 0));
		r = 0;
		if (row_start_fits(a->qm.size, built, 0) && !holds_rows(a->found, batch) &&
		    !add(a, batch, (uint32_t)sqlite3_column_int64(built, 1), false))
			r = error_set(err, ENOMEM, "no memory");
	}
	return r;
}

static int take_gone(struct adoption *a, size_t from, struct error *err)
{
	auto_stmt *gone = NULL;
	int r = db_prepare(a->db, SQL_ADOPT_GONE, &gone, err);
	for (size_t i = from; r == 0 && i < a->n; i++) {
		r = db_bind(gone, err, "ii", a->qm.queue_id, calendar_start(a->qm.size, a->changes[i].batch));
		if (r == 0)
			r = db_run(gone, err);
	}
	return r;
}

/* A line for each stretch of neighbours that are alike. */
static int tell(struct adoption *a, struct error *err)
{
	auto_stmt *told = NULL;
	const struct change *c = a->changes;
	int r = db_prepare(a->db, SQL_ADOPT_TOLD, &told, err);
	for (size_t i = 0, end; r == 0 && i < a->n; i = end) {
		for (end = i + 1; end < a->n && c[end].batch == c[end - 1].batch + 1 &&
				  c[end].adopted == c[i].adopted && c[end].attempt == c[i].attempt;)
			end++;
		r = db_bind(told, err, "iiiiti", a->qm.queue_id, calendar_start(a->qm.size, c[i].batch),
			    calendar_start(a->qm.size, c[end - 1].batch), (int64_t)c[i].attempt,
			    c[i].adopted ? "adopted" : "gone", a->now);
		if (r == 0)
			r = db_run(told, err);
	}
	return r;
}

static int mark_looked(struct adoption *a, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(a->db, SQL_ADOPT_LOOKED, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "ii", a->qm.queue_id, a->found->began);
	if (r == 0)
		r = db_run(stmt, err);
	if (r == 0 && sqlite3_changes(a->db) == 0)
		r = error_set(err, EBUSY, "the table was made anew meanwhile");
	return r;
}

static int record(struct adoption *a, struct error *err)
{
	int r = db_exec(a->db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = adopt_found(a, err);
	size_t adopted = a->n;
	if (r == 0)
		r = find_gone(a, err);
	if (r == 0)
		r = take_gone(a, adopted, err);
	if (r == 0)
		r = tell(a, err);
	if (r == 0)
		r = mark_looked(a, err);
	if (r == 0)
		r = db_exec(a->db, "COMMIT", err);
	db_rollback(a->db);
	return r;
}

static int64_t begin_of(struct store *s, slot model)
{
	LOCKED(&s->lock);
	const struct queue_model *qm = &s->models[model];
	return calendar_start(qm->size, calendar_ordinal(qm->size, qm->model->begin));
}

static int report_changes(struct adoption *a, slot model, const struct store_sink *sink, struct error *err)
{
	static const struct done_rows none = {0};
	struct row_reader reader;
	int r = reader_open(&reader, &none, a->db, err);
	for (size_t i = 0; r == 0 && i < a->n; i++) {
		struct batch_row row;
		r = reader_get(&reader, &a->qm, calendar_start(a->qm.size, a->changes[i].batch), &row, err);
		row.state.model = model;
		row.state.batch = a->changes[i].batch;
		if (r == 0)
			sink->state(sink->ctx, &row.state);
	}
	reader_close(&reader);
	return r;
}

int queue_adopt(struct store *s, sqlite3 *db, slot model, enum look_kind kind,
		const struct found_windows *found, const struct store_sink *sink, struct error *err)
{
	static const struct done_rows none = {0};
	struct adoption a = {.s = s,
			     .db = db,
			     .qm = queue_model_of(s, model),
			     .found = found,
			     .now = clock_now_us(s->config.clock),
			     .begin = begin_of(s, model)};
	int r = record(&a, err);
	if (r == 0) {
		LOCKED(&s->lock);
		s->models[model].looked = s->models[model].met = true;
	}
	if (r == 0 && kind == LOOK_FIRST) {
		sink->forget(sink->ctx, model);
		r = queue_load_states(s, db, &none, model, sink, err);
		sink->told(sink->ctx, model);
	} else if (r == 0) {
		r = report_changes(&a, model, sink, err);
	}
	free(a.changes);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target that is looked at again: the batches that differ from what is recorded. They are found without a
 * lock; each is recorded only if it still is what it was compared with, under the lock of FILE, so that no
 * batch commits meanwhile. The queue comes first, as everywhere: what is gone is not to show what it was
 * before.
 */
#include "backend/sqlite/done.h"
#include "backend/sqlite/look.h"
#include "backend/sqlite/queue/rows.h"
#include "backend/sqlite/sql.h"

#define AT_ONCE 500

/* The states that are recorded, beside the windows that hold rows; both by batch. */
struct comparing {
	struct ordinal_range batches;
	const struct found_list *holding; /* all that hold rows */
	size_t next;
	struct differences *out;
	int failed;
	struct error *err;
};

static void add(struct comparing *c, struct found_list *list, ordinal batch, uint32_t attempt)
{
	if (c->failed == 0)
		c->failed = found_list_add(list, batch, attempt, c->err);
}

/* What holds rows and is not recorded at all. */
static void add_before(struct comparing *c, ordinal batch)
{
	while (c->next < c->holding->n && c->holding->list[c->next].batch < batch)
		add(c, &c->out->holding, c->holding->list[c->next++].batch, 0);
}

static bool held(const struct store_state *s)
{
	return s->run == ROW_IDLE && s->outcome == OUTCOME_DONE && (s->adopted || s->rows_inserted > 0);
}

static void compare_state(void *ctx, const struct store_state *s)
{
	struct comparing *c = ctx;
	if (s->batch < c->batches.first || s->batch >= c->batches.end)
		return;
	add_before(c, s->batch);
	bool holds = c->next < c->holding->n && c->holding->list[c->next].batch == s->batch;
	c->next += holds;
	if (holds && s->run == ROW_IDLE && s->outcome == OUTCOME_NONE)
		add(c, &c->out->holding, s->batch, s->attempt);
	if (!holds && held(s))
		add(c, &c->out->empty, s->batch, s->attempt);
}

int compare(struct worker *w, sqlite3 *queue, slot model, const struct found_list *holding,
	    struct differences *out, struct error *err)
{
	struct done_rows done = {0};
	struct comparing c = {.batches = windows_of(w->store, w->edition->model),
			      .holding = holding,
			      .out = out,
			      .err = err};
	const struct store_sink sink = {.ctx = &c, .state = compare_state};
	int r = done_rows_open(w->db, &done, err);
	if (r == 0)
		r = queue_load_states(w->store, queue, &done, model, &sink, err);
	done_rows_close(&done);
	add_before(&c, c.batches.end);
	return r == 0 ? c.failed : r;
}

/* While they are recorded. */
struct recording {
	struct worker *w;
	sqlite3 *queue;
	slot model;
	struct queue_model qm;
	struct done_rows done;
	struct row_reader reader;
	sqlite3_stmt *asked_for;
};

static int recording_open(struct recording *x, struct error *err)
{
	x->qm = queue_model_of(x->w->store, x->model);
	int r = done_rows_open(x->w->db, &x->done, err);
	if (r == 0)
		r = reader_open(&x->reader, &x->done, x->queue, err);
	return r == 0 ? db_prepare(x->queue, SQL_LOOK_ASKED_FOR, &x->asked_for, err) : r;
}

static void recording_close(struct recording *x)
{
	sqlite3_finalize(x->asked_for);
	reader_close(&x->reader);
	done_rows_close(&x->done);
}

static int64_t start_of(const struct recording *x, ordinal batch)
{
	return calendar_start(x->w->edition->model->batch_size, batch);
}

/* 1: somebody waits for it. */
static int asked_for(struct recording *x, int64_t start, int64_t served, struct error *err)
{
	sqlite3_reset(x->asked_for);
	int r = db_bind(x->asked_for, err, "iii", x->qm.queue_id, start, served);
	if (r == 0)
		r = db_step(x->asked_for, err);
	sqlite3_reset(x->asked_for);
	return r;
}

/* Those of them that still are what they were compared with. */
static int keep_same(struct recording *x, const struct found_batch *list, size_t n, bool holding,
		     struct found_list *out, struct error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		int64_t start = start_of(x, list[i].batch);
		struct batch_row row;
		r = reader_get(&x->reader, &x->qm, start, &row, err);
		const struct store_state *s = &row.state;
		bool same = holding ? s->run == ROW_IDLE && s->outcome == OUTCOME_NONE : held(s);
		if (r < 0 || !same || row.damage[0] || s->attempt != list[i].attempt)
			continue;
		r = asked_for(x, start, s->served, err);
		if (r == 0)
			r = found_list_add(out, list[i].batch, row.last_attempt, err);
		else if (r == 1)
			r = 0;
	}
	return r;
}

static int run_for_each(struct recording *x, sqlite3 *db, const char *sql, int64_t id,
			const struct found_list *list, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, sql, &stmt, err);
	for (size_t i = 0; r == 0 && i < list->n; i++) {
		r = db_bind(stmt, err, "iii", id, start_of(x, list->list[i].batch),
			    (int64_t)list->list[i].attempt);
		if (r == 0)
			r = db_run(stmt, err);
	}
	return r;
}

static int blank_queue(struct recording *x, const struct found_list *gone, struct error *err)
{
	if (gone->n == 0)
		return 0;
	int r = db_exec(x->queue, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = run_for_each(x, x->queue, SQL_LOOK_BLANK, x->qm.queue_id, gone, err);
	if (r == 0)
		r = db_exec(x->queue, "COMMIT", err);
	db_rollback(x->queue);
	return r;
}

static int write_down(struct recording *x, const struct found_list *adopted, const struct found_list *gone,
		      struct error *err)
{
	struct worker *w = x->w;
	const struct model *m = w->edition->model;
	int64_t now = clock_now_us(w->store->config.clock);
	int r = blank_queue(x, gone, err);
	if (r == 0)
		r = run_for_each(x, w->db, SQL_LOOK_GONE, x->qm.table_id, gone, err);
	if (r == 0)
		r = told_write(w, m, x->qm.table_id, "gone", now, gone, err);
	if (r == 0)
		r = adopt_states(w, m, x->qm.table_id, now, adopted, err);
	return r == 0 ? worker_checked(w, err) : r;
}

static int report(struct recording *x, const struct found_list *list, const struct store_sink *sink,
		  struct error *err)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < list->n; i++) {
		struct batch_row row;
		r = reader_get(&x->reader, &x->qm, start_of(x, list->list[i].batch), &row, err);
		row.state.model = x->model;
		row.state.batch = list->list[i].batch;
		/* What has been claimed since is told of by who runs it. */
		if (r == 0 && !(sink->runs && sink->runs(sink->ctx, x->model, row.state.batch, 0)))
			sink->state(sink->ctx, &row.state);
	}
	return r;
}

static int record_some(struct recording *x, const struct found_batch *holding, size_t n_holding,
		       const struct found_batch *empty, size_t n_empty, const struct store_sink *sink,
		       struct error *err)
{
	auto_found adopted = {0}, gone = {0};
	bool known = false;
	int r = db_exec(x->w->db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = target_is_known(x->w->db, x->w->edition->model, x->qm.table_id, &known, err);
	if (r == 0 && !known)
		r = error_set(err, EAGAIN, "%s is not the table that was known", x->w->edition->model->dir);
	if (r == 0)
		r = recording_open(x, err);
	if (r == 0)
		r = keep_same(x, holding, n_holding, true, &adopted, err);
	if (r == 0)
		r = keep_same(x, empty, n_empty, false, &gone, err);
	if (r == 0)
		r = write_down(x, &adopted, &gone, err);
	if (r == 0)
		r = db_exec(x->w->db, "COMMIT", err);
	if (r == 0)
		r = report(x, &adopted, sink, err);
	if (r == 0)
		r = report(x, &gone, sink, err);
	recording_close(x);
	db_rollback(x->w->db);
	return r;
}

int record_differences(struct worker *w, sqlite3 *queue, slot model, const struct differences *d,
		       const struct store_sink *sink, struct error *err)
{
	struct recording x = {.w = w, .queue = queue, .model = model, .qm = queue_model_of(w->store, model)};
	size_t most = d->holding.n > d->empty.n ? d->holding.n : d->empty.n;
	int r = most ? settle_queue(w, queue, model, err) : 0;
	for (size_t i = 0; r == 0 && i < most; i += AT_ONCE) {
		size_t h = d->holding.n > i ? d->holding.n - i : 0, e = d->empty.n > i ? d->empty.n - i : 0;
		r = record_some(&x, h ? d->holding.list + i : NULL, h < AT_ONCE ? h : AT_ONCE,
				e ? d->empty.list + i : NULL, e < AT_ONCE ? e : AT_ONCE, sink, err);
		x = (struct recording){.w = w, .queue = queue, .model = model, .qm = x.qm};
	}
	return r;
}

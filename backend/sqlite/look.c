/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/look.h"

#include <stdlib.h>

#include "backend/sqlite/done.h"
#include "backend/sqlite/schema.h"
#include "backend/sqlite/sql.h"

/* Nobody who holds FILE or the queue is waited for longer. */
#define WAIT_US 1000000
/* So often a look is spared one after the other: what was left alone, because it was asked for or ran, may
 * have been cancelled since. */
#define PASSED_MOST 9

/* Of a model, on the connection of one worker. */
struct last_look {
	int64_t version; /* PRAGMA data_version at that look; 0: there was none */
	unsigned passed; /* looks that were not needed, one after the other */
	uint64_t told;	 /* -o ro: a print of what was told */
};

static struct last_look *last_look(struct worker *w, slot model)
{
	if (!w->looks)
		w->looks = calloc(SLOTS_MAX, sizeof *w->looks);
	return w->looks ? &w->looks[model] : NULL;
}

static int data_version(sqlite3 *db, int64_t *out, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_DATA_VERSION, &stmt, err);
	if (r == 0)
		r = db_step(stmt, err);
	*out = r == 1 ? sqlite3_column_int64(stmt, 0) : 0;
	return r < 0 ? r : 0;
}

/* FNV-1a. */
static uint64_t print_of(const struct differences *d)
{
	uint64_t print = UINT64_C(0xcbf29ce484222325);
	const struct found_list *lists[] = {&d->holding, &d->empty};
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			print = (print ^ (2 * lists[k]->list[i].batch + (unsigned)k)) *
				UINT64_C(0x100000001b3);
	return d->holding.n || d->empty.n ? print : 0;
}

/* -o ro: what is recorded, and over that what differs, where that is not what was told the last time. */
static int report_only(struct worker *w, sqlite3 *queue, slot model, const struct differences *d,
		       uint64_t *told, const struct store_sink *sink, struct error *err)
{
	struct done_rows done = {0};
	int64_t now = clock_now_us(w->store->config.clock);
	uint64_t print = print_of(d);
	if (print == *told)
		return 0;
	int r = done_rows_open(w->db, &done, err);
	if (r == 0)
		sink->forget(sink->ctx, model);
	if (r == 0)
		r = queue_load_states(w->store, queue, &done, model, sink, err);
	done_rows_close(&done);
	for (size_t i = 0; r == 0 && i < d->holding.n; i++) {
		struct store_state s = adopted_state(model, d->holding.list[i].batch, now);
		sink->state(sink->ctx, &s);
	}
	for (size_t i = 0; r == 0 && i < d->empty.n; i++) {
		struct store_state s = adopted_state(model, d->empty.list[i].batch, 0);
		s.outcome = OUTCOME_NONE;
		s.adopted = false;
		sink->state(sink->ctx, &s);
	}
	sink->told(sink->ctx, model);
	*told = r == 0 ? print : *told;
	return r;
}

/* In one snapshot of FILE. *needed: false: by the clock nothing is read here. */
static int find(struct worker *w, sqlite3 *queue, slot model, enum look_kind kind, bool *needed,
		struct differences *out, struct error *err)
{
	const struct model *m = w->edition->model;
	struct target_view view = {0};
	auto_found holding = {0};
	bool tables;
	int r = db_exec(w->db, "BEGIN", err);
	if (r == 0)
		r = warehouse_schema_check(w->db, &tables, err);
	if (r == 0)
		r = target_look(w->db, m, tables, &view, err);
	*needed = kind == LOOK_ASKED || view.indexed;
	if (r == 0 && view.why_not.err)
		r = error_set(err, view.why_not.err, "%s", view.why_not.text);
	/* With -o ro nothing is recorded of a table that is met for the first time. */
	bool unmet = w->store->config.read_only && !view.registered;
	if (r == 0 && (!view.exists || (!view.known && !unmet)))
		r = error_set(err, EAGAIN, "%s is not the table that was known", m->relation.identifier);
	if (r == 0 && *needed)
		r = windows_find(w, m, &view, &holding, err);
	if (r == 0 && *needed)
		r = compare(w, queue, model, &holding, out, err);
	db_rollback(w->db);
	target_view_fini(&view);
	return r;
}

static int look_again(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
		      struct error *err)
{
	struct store *s = w->store;
	struct last_look *last = last_look(w, model);
	auto_db *queue = NULL;
	struct differences d = {0};
	bool needed = true;
	int64_t version = 0;
	if (!last)
		return error_set(err, ENOMEM, "no memory to look at a table");
	int r = data_version(w->db, &version, err);
	/* A version is of the connection, and with -o ro that is another one each time. */
	if (r == 0 && kind == LOOK_CLOCK && !s->config.read_only && version == last->version &&
	    last->passed++ < PASSED_MOST)
		return 0;
	if (r == 0)
		r = queue_connect(s, &w->patience, &queue, err);
	if (r == 0)
		r = find(w, queue, model, kind, &needed, &d, err);
	if (r == 0 && needed)
		r = s->config.read_only ? report_only(w, queue, model, &d, &last->told, sink, err)
					: record_differences(w, queue, model, &d, sink, err);
	if (r == 0 && needed) {
		last->version = version;
		last->passed = 0;
	}
	found_list_fini(&d.holding);
	found_list_fini(&d.empty);
	return r;
}

int sqlite_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
		struct error *err)
{
	struct error own = {0};
	int64_t wait_us = w->patience.wait_us;
	if (!err)
		err = &own;
	int r = worker_enter(w, model, err);
	if (w->patience.wait_us > WAIT_US)
		w->patience.wait_us = WAIT_US;
	if (kind == LOOK_FIRST)
		target_busy(w->store, model, true);
	if (r == 0)
		r = kind == LOOK_FIRST ? adopt(w, model, sink, err) : look_again(w, model, kind, sink, err);
	if (kind == LOOK_FIRST)
		target_busy(w->store, model, false);
	w->patience.wait_us = wait_us;
	worker_leave(w);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The worker of the queue as a store by itself: what it does is record, and read what is recorded. */
#include <stdlib.h>

#include "backend/sqlite/queue/private.h"

struct worker {
	struct store *store;
	struct patience patience;
};

static int worker_open(struct store *s, const char *lane, struct worker **out, struct error *err)
{
	(void)lane; /* nobody sees whose connection it is */
	struct worker *w = calloc(1, sizeof *w);
	*out = w;
	if (!w)
		return error_set(err, ENOMEM, "no memory");
	*w = (struct worker){.store = s, .patience = {.abandoned = &s->abandoned, .wait_us = 10000000}};
	return 0;
}

static void worker_close(struct worker *w)
{
	free(w);
}

static int connect(struct worker *w, sqlite3 **db, struct error *err)
{
	int r = store_usable(w->store, err);
	return r == 0 ? queue_connect(w->store, &w->patience, db, err) : r;
}

static int prepare(struct worker *w, slot model, bool make, struct store_target *target, struct error *err)
{
	queue_target(w->store, model, target);
	return 0;
}

/* -o ro: what is recorded, and over that what was found; nothing is written down. */
static int report_only(struct worker *w, sqlite3 *db, slot model, const struct found_windows *found,
		       const struct store_sink *sink, struct error *err)
{
	static const struct done_rows none = {0};
	int64_t now = clock_now_us(w->store->config.clock);
	sink->forget(sink->ctx, model);
	for (size_t i = 0; i < found->n; i++) {
		struct store_state s = adopted_state(model, found->batches[i], now);
		sink->state(sink->ctx, &s);
	}
	int r = queue_load_states(w->store, db, &none, model, sink, err);
	sink->told(sink->ctx, model);
	return r;
}

static int record(struct worker *w, slot model, enum look_kind kind, const struct found_windows *found,
		  const struct store_sink *sink, struct error *err)
{
	auto_db *db = NULL;
	int r = connect(w, &db, err);
	if (r == 0 && !w->store->config.read_only)
		r = queue_adopt(w->store, db, model, kind, found, sink, err);
	else if (r == 0 && kind == LOOK_FIRST)
		r = report_only(w, db, model, found, sink, err);
	return r;
}

static int history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		   void *ctx, struct error *err)
{
	auto_db *db = NULL;
	int r = connect(w, &db, err);
	return r == 0 ? queue_history(w->store, db, NULL, model, most, cursor, tell, ctx, err) : r;
}

static int prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err)
{
	struct queue_model qm = queue_model_of(w->store, model);
	auto_db *db = NULL;
	if (!qm.enlisted || !qm.queue_id)
		return 0;
	int r = connect(w, &db, err);
	return r == 0 ? queue_prune(db, qm.queue_id, keep, before, INT64_MAX, err) : r;
}

const struct builder_ops queue_records = {
	.worker_open = worker_open,
	.worker_close = worker_close,
	.prepare = prepare,
	.record = record,
	.history = history,
	.prune = prune,
};

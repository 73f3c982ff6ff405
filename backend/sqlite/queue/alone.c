/* SPDX-License-Identifier: Apache-2.0 */
/* The queue as a store by itself: what is done is settled in it, too. */
#include "backend/sqlite/queue/private.h"
#include "backend/verdict.h"

void queue_alone_close(struct store *s)
{
	if (!s)
		return;
	queue_put_back(s);
	queue_fini(s);
	free(s);
}

static int open_alone(const struct engine_config *config, struct store **out, struct error *err)
{
	*out = NULL;
	if (!config->database || !*config->database)
		return error_set(err, EINVAL, "the states need a file: -o database=FILE");
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return error_set(err, ENOMEM, "no memory");
	int r = queue_init(s, config, config->database, NULL, err);
	if (r == 0)
		r = queue_open(s, err);
	if (r < 0) {
		queue_alone_close(s);
		return r;
	}
	*out = s;
	return 0;
}

static int enlist_model(struct store *s, sqlite3 *db, slot i, struct error *err)
{
	static const struct done_rows none = {0};
	const struct model *m = s->models[i].model;
	struct queue_model found;
	int r = queue_model_find(db, m->relation.rendered, m->batch_size, &found, err);
	if (r < 0)
		return r;
	{
		LOCKED(&s->lock);
		struct queue_model *qm = &s->models[i];
		qm->queue_id = found.queue_id;
		qm->table_id = found.table_id;
		qm->looked = found.looked;
		qm->enlisted = true;
	}
	if (s->config.read_only)
		return 0;
	r = queue_offer(s, db, i, err);
	return r < 0 ? r : queue_sweep(s, db, &none, i, s->owner, err);
}

void queue_target(struct store *s, slot model, struct store_target *out)
{
	struct queue_model qm = queue_model_of(s, model);
	bool lookable = qm.model && !qm.model->wrong && verdict_looks(qm.model);
	*out = (struct store_target){.exists = true,
				     .lookable = lookable,
				     .met = qm.met,
				     .look = lookable && !qm.looked,
				     .event_time_type = TIME_UNKNOWN};
}

/* Whether the tables are there, and what they hold, is the builder's business. */
int queue_alone_enlist(struct store *s, const struct model *const *models, struct store_target *targets,
		       size_t n, struct error *err)
{
	auto_db *db = NULL;
	struct queue_change change = {0};
	int r = store_usable(s, err);
	if (r == 0)
		r = queue_models_take(s, models, n, &change, err);
	if (r == 0)
		r = queue_connect(s, &s->patience, &db, err);
	if (r == 0 && db)
		r = db_exec(db, s->config.read_only ? "BEGIN" : "BEGIN IMMEDIATE", err);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (db && models[i] && !models[i]->wrong)
			r = enlist_model(s, db, (slot)i, err);
		queue_target(s, (slot)i, &targets[i]);
	}
	queue_models_astray(s);
	if (r == 0 && db)
		r = db_exec(db, "COMMIT", err);
	queue_models_settle(s, &change, r == 0);
	return r;
}

int queue_alone_load(struct store *s, const struct store_sink *sink, struct error *err)
{
	static const struct done_rows none = {0};
	auto_db *db = NULL;
	int r = store_usable(s, err);
	if (r == 0)
		r = queue_connect(s, &s->patience, &db, err);
	return r == 0 ? queue_load(s, db, &none, sink, err) : r;
}

/* What others do to a table only a look tells. */
int queue_alone_check(struct store *s, const struct store_sink *sink, struct error *err)
{
	return store_usable(s, err);
}

const struct store_ops queue_store = {
	.open = open_alone,
	.close = queue_alone_close,
	.enlist = queue_alone_enlist,
	.load = queue_alone_load,
	.follow = queue_follow,
	.check = queue_alone_check,
	.wake = queue_wake,
	.abandon = queue_abandon,
	.request = queue_request,
	.claim = queue_claim,
	.settle = queue_settle,
	.retire = queue_retire,
	.refresh = queue_refresh,
	.forget_answers = queue_forget_answers,
	.recode = queue_recode,
	.orphans = queue_orphans,
	.recall = queue_recall,
	.remember = queue_remember,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* Which id a model has in the queue. */
#include <sys/random.h>
#include <time.h>

#include "backend/base/count.h"
#include "backend/sqlite/queue/private.h"

/* Not SQLite's own generator: two processes forked from one get the same numbers from it. */
int64_t fresh_id(void)
{
	uint64_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		random = (uint64_t)time(NULL) << 32 ^ (uint64_t)getpid() << 20 ^
			 (uint64_t)clock_monotonic_us();
	return (int64_t)(random >> 2 | 1);
}

int queue_model_find(sqlite3 *db, const char *target, enum batch_size size, struct queue_model *out,
		     struct error *err)
{
	auto_stmt *find = NULL, *add = NULL;
	const char *name = calendar_size_name(size);
	*out = (struct queue_model){.table_id = fresh_id()};
	int r = db_prepare(db, SQL_MODEL_FIND, &find, err);
	if (r == 0)
		r = db_bind(find, err, "tt", target, name);
	if (r == 0)
		r = db_step(find, err);
	if (r == 1) {
		out->queue_id = sqlite3_column_int64(find, 0);
		out->table_id = sqlite3_column_int64(find, 1);
		out->looked = sqlite3_column_int(find, 2) != 0;
		out->met = sqlite3_column_int(find, 3) != 0;
	}
	if (r != 0 || sqlite3_db_readonly(db, "main"))
		return r < 0 ? r : 0;
	r = db_prepare(db, SQL_MODEL_ADD, &add, err);
	if (r == 0)
		r = db_bind(add, err, "ttii", target, name, (int64_t)time(NULL) << 20, out->table_id);
	if (r == 0)
		r = db_run(add, err);
	out->queue_id = sqlite3_last_insert_rowid(db);
	return r;
}

struct queue_model queue_model_of(struct store *s, slot model)
{
	LOCKED(&s->lock);
	return s->models[model];
}

size_t queue_models_count(struct store *s)
{
	LOCKED(&s->lock);
	return s->n;
}

int queue_models_take(struct store *s, const struct model *const *models, size_t n, struct queue_change *out,
		      struct error *err)
{
	*out = (struct queue_change){.n = n, .was_n = s->n};
	out->was = calloc(n + 1, sizeof *out->was);
	if (!s->models)
		s->models = calloc(SLOTS_MAX, sizeof *s->models);
	if (!s->models || !out->was)
		return error_set(err, ENOMEM, "no memory for %s",
				 count_of((uint64_t)n, "model", "models").text);
	LOCKED(&s->lock);
	for (size_t i = 0; i < n; i++) {
		struct queue_model *qm = &s->models[i];
		qm->gone = !models[i];
		out->was[i] = qm->model;
		qm->model = model_hold(qm->gone ? qm->model : models[i]);
		qm->size = qm->model->batch_size;
		qm->loaded =
			qm->loaded && (qm->gone || (!qm->astray && qm->model->begin >= qm->loaded_begin));
	}
	s->n = n;
	return 0;
}

void queue_models_settle(struct store *s, struct queue_change *change, bool stays)
{
	if (change->was && !stays) {
		LOCKED(&s->lock);
		for (size_t i = 0; i < change->n; i++) {
			const struct model *now = s->models[i].model;
			s->models[i].model = change->was[i];
			change->was[i] = now;
		}
		s->n = change->was_n;
	}
	for (size_t i = 0; change->was && i < change->n; i++)
		if (change->was[i])
			model_drop(change->was[i]);
	free(change->was);
}

void queue_models_astray(struct store *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct queue_model *gone = &s->models[i];
		for (size_t k = 0; gone->gone && k < s->n; k++)
			if (!s->models[k].gone && s->models[k].enlisted &&
			    s->models[k].queue_id == gone->queue_id)
				gone->astray = true;
	}
}

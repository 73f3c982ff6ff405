/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models are met: their ids, their tables as they are, the types of what they
 * read. FILE is only read here (a new table is entered there by prepare or adopt,
 * which own its write lock); FILE-queue learns new models and is swept.
 */
#include <string.h>

#include "backend/base/count.h"
#include "backend/sqlite/done.h"
#include "backend/sqlite/schema.h"
#include "backend/sqlite/shape.h"
#include "backend/sqlite/target.h"

/* dbt-sqlite names an attached file by its schema; the file that is mounted is always "main". */
static bool in_main(const struct relation *r)
{
	return !r->schema || !*r->schema || sqlite3_stricmp(r->schema, "main") == 0;
}

static bool same_table(const struct model *a, const struct model *b)
{
	return sqlite3_stricmp(a->relation.identifier, b->relation.identifier) == 0 && in_main(&b->relation);
}

/* Why it cannot be built. A table of that name in the mounted file would be another one. */
static void judge_inputs(const struct model *m, struct error *why)
{
	for (size_t i = 0; i < m->n_inputs; i++) {
		const struct input *in = &m->inputs[i];
		if (in->ephemeral || in_main(&in->relation))
			continue;
		error_set(why, EOPNOTSUPP,
			  "it reads %s, and only the schema main can be read here: the file that is "
			  "mounted; move the table there, or run the model with dbt",
			  in->relation.rendered);
		return;
	}
}

/* Of two with one table the one that can be built has its states; of two that can, neither. */
static bool gives_way(const struct store *s, size_t i, size_t other)
{
	bool builds = verdict_builds(s->models[i].model, SQLITE_SUPPORTS);
	bool other_builds = verdict_builds(s->models[other].model, SQLITE_SUPPORTS);
	return other != i && !s->models[other].gone && (other_builds || (!builds && other < i)) &&
	       same_table(s->models[i].model, s->models[other].model);
}

/* Why it can be neither built nor looked at; no look at the file can change that. */
static void judge(const struct store *s, size_t i, struct error *why)
{
	const struct model *m = s->models[i].model;
	if (!in_main(&m->relation)) {
		error_set(why, EOPNOTSUPP,
			  "its table is %s, and only the schema main can be built here: the file that is "
			  "mounted; set the model's schema to main, or run it with dbt",
			  m->relation.rendered ? m->relation.rendered : m->relation.identifier);
		return;
	}
	if (sqlite3_strnicmp(m->relation.identifier, "sqlite_", 7) == 0 ||
	    sqlite3_strnicmp(m->relation.identifier, "batchfs_", 8) == 0) {
		error_set(why, EOPNOTSUPP, "a table cannot be called %s here: give the model an alias",
			  m->relation.identifier);
		return;
	}
	for (size_t k = 0; k < s->n; k++) {
		if (!verdict_looks(s->models[k].model) || !gives_way(s, i, k))
			continue;
		error_set(why, EOPNOTSUPP,
			  "%s and %s would both write the table %s; give one of them an alias", m->unique_id,
			  s->models[k].model->unique_id, m->relation.identifier);
		return;
	}
}

static int parse(struct store *s, size_t i, struct error *why, struct error *err)
{
	const struct model *m = s->models[i].model;
	auto_free char **native = calloc(m->n_inputs + 1, sizeof *native);
	if (!native)
		return error_set(err, ENOMEM, "no memory");
	int r = 0;
	for (size_t k = 0; k < m->n_inputs && r == 0; k++) {
		auto_strbuf name = STRBUF_INIT;
		if (m->inputs[k].ephemeral)
			continue;
		strbuf_puts(&name, "\"main\".");
		db_identifier(&name, m->inputs[k].relation.identifier);
		native[k] = strbuf_detach(&name);
		if (!native[k])
			r = error_set(err, ENOMEM, "no memory");
	}
	struct sql_template *sql = NULL;
	int bad = r < 0 ? 0 : window_sql_parse(SQL_SQLITE, m, (const char *const *)native, &sql, why);
	for (size_t k = 0; k < m->n_inputs; k++)
		free(native[k]);
	if (bad == -ENOMEM)
		return error_set(err, ENOMEM, "no memory");
	if (bad)
		error_prefix(why, "the compiled SQL of %s: ", m->dir);
	LOCKED(&s->lock);
	warehouse_of(s)->targets[i].edition->sql = sql;
	return r;
}

static int look_at_inputs(struct store *s, sqlite3 *file, size_t i, enum time_type type, struct error *err)
{
	const struct model *m = s->models[i].model;
	struct error unfit;
	int64_t last;
	enum time_type *types = calloc(m->n_inputs + 1, sizeof *types);
	if (!types)
		return error_set(err, ENOMEM, "no memory");
	int r = input_look(file, m, type, types, &last, &unfit, err);
	if (r < 0)
		free(types);
	else
		target_learn_inputs(s, warehouse_of(s)->targets[i].edition, types);
	return r;
}

/* What is known of it without looking at the file. out->why_not: it cannot be built, for ever. */
static int judge_model(struct store *s, size_t i, struct store_target *out, struct error *err)
{
	const struct model *m = s->models[i].model;
	struct error *why = &out->why_not;
	int r = 0;
	judge(s, i, why);
	out->lookable = !why->err;
	if (!why->err && verdict_builds(m, SQLITE_SUPPORTS))
		judge_inputs(m, why);
	if (!why->err && verdict_builds(m, SQLITE_SUPPORTS) && !warehouse_of(s)->targets[i].edition->sql)
		r = parse(s, i, why, err);
	out->lasting = why->err != 0;
	return r;
}

/* Its queue gets to know it, and its table is looked at as it is. */
static int meet_target(struct store *s, sqlite3 *file, sqlite3 *queue, size_t i, struct store_target *out,
		       struct error *err)
{
	const struct model *m = s->models[i].model;
	bool tables;
	struct target_view view = {0};
	struct queue_model found = {0};
	struct error why_not = out->why_not;
	int r = warehouse_schema_check(file, &tables, err);
	if (r == 0)
		r = target_look(file, m, tables, &view, err);
	if (r == 0 && queue)
		r = queue_model_find(queue, m->relation.identifier, m->batch_size, &found, err);
	if (r == 0) {
		target_answer(&view, out);
		warehouse_of(s)->targets[i].edition->unbuilt = why_not;
		if (why_not.err) {
			out->why_not = why_not;
			out->lasting = true;
		}
		{
			LOCKED(&s->lock);
			struct queue_model *qm = &s->models[i];
			qm->queue_id = found.queue_id;
			if (!qm->enlisted)
				qm->table_id = found.table_id;
			qm->enlisted = true;
		}
		target_learn(s, (int)i, &view);
		if (warehouse_of(s)->targets[i].edition->sql)
			r = look_at_inputs(s, file, i, view.type, err);
		if (r == 0 && !view.exists && warehouse_of(s)->targets[i].edition->sql)
			target_guess(s, file, (int)i);
	}
	target_view_fini(&view);
	return r;
}

static int enlist_model(struct store *s, sqlite3 *file, sqlite3 *queue, size_t i, struct store_target *out,
			struct error *err)
{
	int r = judge_model(s, i, out, err);
	if (r < 0 || !out->lookable)
		return r;
	r = meet_target(s, file, queue, i, out, err);
	struct done_rows done = {0};
	if (r == 0 && !s->config.read_only)
		r = done_rows_open(file, &done, err);
	if (r == 0 && !s->config.read_only)
		r = queue_offer(s, queue, (slot)i, err);
	if (r == 0 && !s->config.read_only)
		r = queue_sweep(s, queue, &done, (slot)i, s->owner, err);
	done_rows_close(&done);
	return r;
}

static int enlist_all(struct store *s, sqlite3 *file, sqlite3 *queue, struct store_target *targets,
		      struct error *err)
{
	int r = db_exec(file, "BEGIN", err);
	if (r == 0 && queue)
		r = db_exec(queue, s->config.read_only ? "BEGIN" : "BEGIN IMMEDIATE", err);
	for (size_t i = 0; i < s->n && r == 0; i++) {
		targets[i] = (struct store_target){.event_time_type = TIME_UNKNOWN};
		if (!s->models[i].gone && verdict_looks(s->models[i].model))
			r = enlist_model(s, file, queue, i, &targets[i], err);
	}
	queue_models_astray(s);
	if (r == 0 && queue)
		r = db_exec(queue, "COMMIT", err);
	if (queue)
		db_rollback(queue);
	db_rollback(file);
	return r;
}

/* The editions go with the models. was: n, of the caller's; holds what was in force. */
static int take_editions(struct store *s, const struct queue_change *change, struct edition **was,
			 struct error *err)
{
	struct warehouse *w = warehouse_of(s);
	if (!w->targets)
		w->targets = calloc(SLOTS_MAX, sizeof *w->targets);
	for (size_t i = 0; w->targets && i < change->n; i++) {
		struct target *t = &w->targets[i];
		const struct model *m = s->models[i].model;
		/* A model whose facts are the same ones stays what it is. */
		bool same = t->edition && t->edition->model == m;
		struct edition *e = same ? edition_get(s, (slot)i) : edition_new(m);
		if (!e)
			return error_set(err, ENOMEM, "no memory for %s", m->dir);
		LOCKED(&s->lock);
		was[i] = t->edition;
		t->edition = e;
	}
	return w->targets ? 0 : error_set(err, ENOMEM, "no memory for models");
}

static void settle_editions(struct store *s, const struct queue_change *change, struct edition **was,
			    bool stays)
{
	for (size_t i = 0; i < change->n; i++) {
		struct edition *over = was[i];
		if (!stays && (was[i] || i >= change->was_n)) {
			LOCKED(&s->lock);
			over = warehouse_of(s)->targets[i].edition;
			warehouse_of(s)->targets[i].edition = was[i];
		}
		edition_put(s, over);
	}
}

int warehouse_enlist(struct store *s, const struct model *const *models, struct store_target *targets,
		     size_t n, struct error *err)
{
	auto_db *file = NULL, *queue = NULL;
	auto_free struct edition **was = calloc(n + 1, sizeof *was);
	struct queue_change change = {0};
	int r = was ? store_usable(s, err) : error_set(err, ENOMEM, "no memory for models");
	if (r == 0)
		r = queue_models_take(s, models, n, &change, err);
	bool taken = r == 0;
	if (taken)
		r = take_editions(s, &change, was, err);
	if (r == 0)
		r = warehouse_connect(s, &s->patience, &file, err);
	if (r == 0)
		r = queue_connect(s, &s->patience, &queue, err);
	if (r == 0)
		r = enlist_all(s, file, queue, targets, err);
	if (taken)
		settle_editions(s, &change, was, r == 0);
	queue_models_settle(s, &change, r == 0);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models are met: their ids, their tables as they are, the types of what they
 * read. FILE is only read here (a new table is entered there by prepare or adopt,
 * which own its write lock); FILE-queue learns new models and is swept.
 */
#include <string.h>
#include <time.h>

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

/* A table of that name in the mounted file would be another one. */
static void judge_schemas(const struct model *m, struct error *why)
{
	if (!in_main(&m->relation)) {
		error_set(why, EOPNOTSUPP,
			  "its table is %s, and only the schema main can be built here: the file that is "
			  "mounted; set the model's schema to main, or run it with dbt",
			  m->relation.rendered);
		return;
	}
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

/* What no look at the file can change. */
static void judge(const struct store *s, size_t i, struct error *why)
{
	const struct model *m = s->targets[i].model;
	judge_schemas(m, why);
	if (why->err)
		return;
	if (sqlite3_strnicmp(m->relation.identifier, "sqlite_", 7) == 0 ||
	    sqlite3_strnicmp(m->relation.identifier, "batchfs_", 8) == 0) {
		error_set(why, EOPNOTSUPP, "a table cannot be called %s here: give the model an alias",
			  m->relation.identifier);
		return;
	}
	for (size_t k = 0; k < s->n; k++) {
		const struct model *other = s->targets[k].model;
		if (k == i || other->why_not || !same_table(m, other))
			continue;
		error_set(why, EOPNOTSUPP,
			  "%s and %s would both write the table %s; give one of them an alias", m->unique_id,
			  other->unique_id, m->relation.identifier);
		return;
	}
}

static int parse(struct store *s, size_t i, struct error *why, struct error *err)
{
	const struct model *m = s->targets[i].model;
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
	LOCKED(&s->lock);
	s->targets[i].sql = sql;
	return r;
}

static int queue_model(sqlite3 *queue, const struct model *m, struct target *t, struct error *err)
{
	auto_stmt *find = NULL, *add = NULL;
	const char *size = calendar_size_name(m->batch_size);
	int r = db_prepare(queue, "SELECT id, table_id FROM model WHERE target_table = ? AND batch_size = ?",
			   &find, err);
	if (r == 0)
		r = db_bind(find, err, "tt", m->relation.identifier, size);
	if (r == 0)
		r = db_step(find, err);
	if (r == 1) {
		t->queue_id = sqlite3_column_int64(find, 0);
		t->table_id = sqlite3_column_int64(find, 1);
	}
	if (r != 0 || sqlite3_db_readonly(queue, "main"))
		return r < 0 ? r : 0;
	t->table_id = fresh_id();
	r = db_prepare(queue,
		       "INSERT INTO model(target_table, batch_size, seq, table_id) VALUES (?, ?, ?, ?)", &add,
		       err);
	if (r == 0)
		r = db_bind(add, err, "ttii", m->relation.identifier, size, (int64_t)time(NULL) << 20,
			    t->table_id);
	if (r == 0)
		r = db_run(add, err);
	t->queue_id = sqlite3_last_insert_rowid(queue);
	return r;
}

static int look_at_inputs(struct store *s, sqlite3 *file, size_t i, enum time_type type, struct error *err)
{
	const struct model *m = s->targets[i].model;
	struct error unfit;
	int64_t last;
	enum time_type *types = calloc(m->n_inputs + 1, sizeof *types);
	if (!types)
		return error_set(err, ENOMEM, "no memory");
	int r = input_look(file, m, type, types, &last, &unfit, err);
	if (r < 0)
		free(types);
	else
		target_learn_inputs(s, (int)i, types);
	return r;
}

static int enlist_model(struct store *s, sqlite3 *file, sqlite3 *queue, size_t i, struct store_target *out,
			struct error *err)
{
	const struct model *m = s->targets[i].model;
	struct error why = {0};
	judge(s, i, &why);
	int r = why.err || s->targets[i].sql ? 0 : parse(s, i, &why, err);
	if (r < 0 || why.err) {
		*out = (struct store_target){.event_time_type = TIME_UNKNOWN, .why_not = why};
		return r;
	}
	bool tables;
	struct target_view view = {0};
	struct target ids = {0};
	r = schema_check(file, &tables, err);
	if (r == 0)
		r = target_look(file, m, tables, &view, err);
	if (r == 0 && queue)
		r = queue_model(queue, m, &ids, err);
	if (r == 0) {
		target_answer(&view, out);
		{
			LOCKED(&s->lock);
			s->targets[i].queue_id = ids.queue_id;
			if (!s->targets[i].enlisted)
				s->targets[i].table_id = ids.table_id;
			s->targets[i].enlisted = true;
		}
		target_learn(s, (int)i, &view);
		r = look_at_inputs(s, file, i, view.type, err);
		if (r == 0 && !view.exists)
			target_guess(s, file, (int)i);
	}
	target_view_fini(&view);
	struct target t = target_copy(s, (int)i);
	if (r == 0 && !s->config.read_only)
		r = sweep_model(s, queue, file, &t, s->owner, err);
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
		if (!s->targets[i].model->why_not)
			r = enlist_model(s, file, queue, i, &targets[i], err);
	}
	if (r == 0 && queue)
		r = db_exec(queue, "COMMIT", err);
	if (queue)
		db_rollback(queue);
	db_rollback(file);
	return r;
}

/* The models of the first time are the models of any later one. */
static int take_models(struct store *s, const struct model *const *models, size_t n, struct error *err)
{
	if (s->targets)
		return 0;
	s->targets = calloc(n + 1, sizeof *s->targets);
	if (!s->targets)
		return error_set(err, ENOMEM, "no memory for %zu models", n);
	for (s->n = 0; s->n < n; s->n++)
		s->targets[s->n].model = models[s->n];
	return 0;
}

int sqlite_enlist(struct store *s, const struct model *const *models, struct store_target *targets, size_t n,
		  struct error *err)
{
	auto_db *file = NULL, *queue = NULL;
	int r = store_usable(s, err);
	if (r == 0)
		r = take_models(s, models, n, err);
	if (r == 0)
		r = connect_file(s, &s->patience, &file, err);
	if (r == 0)
		r = connect_queue(s, &s->patience, &queue, err);
	return r == 0 ? enlist_all(s, file, queue, targets, err) : r;
}

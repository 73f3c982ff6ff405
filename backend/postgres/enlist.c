/* SPDX-License-Identifier: Apache-2.0 */
/* Models get their permanent ids and meet their targets. */
#include <string.h>

#include "backend/base/count.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

/* Those that can run so far, by slot, and what is found out about each. */
struct enlisting {
	struct store *s;
	struct store_target *targets;
	struct pg_model **models;
	struct pg_shape **shapes;
	struct pg_known *known;
	size_t n;
};

/* The server would cut the name off; the table is then found neither by dbt nor by us, and made again at
 * every run. */
static int check_length(const struct model *m, const char *name, struct error *why_not)
{
	size_t n = strlen(name);
	if (n <= NAME_LONGEST)
		return 0;
	return error_set(
		why_not, EOPNOTSUPP,
		"%s builds into %s, and that name is %zu bytes long: PostgreSQL keeps %d (dbt counts characters)",
		m->dir, name, n, NAME_LONGEST);
}

static int make_model(struct store *s, size_t i, const struct model *m, struct error *why_not)
{
	struct pg_model *pm = &s->models[i];
	*pm = (struct pg_model){.model = m, .index = (slot)i, .loses_outside = model_loses_outside(m)};
	if (!verdict_builds(m, PG_SUPPORTS))
		return 0;
	if (!m->relation.schema)
		return error_set(why_not, EOPNOTSUPP, "%s names no schema for its table", m->dir);
	if (check_length(m, m->relation.schema, why_not) || check_length(m, m->relation.identifier, why_not))
		return -EOPNOTSUPP;
	auto_strbuf target = STRBUF_INIT;
	quote_name(&target, m->relation.schema);
	strbuf_putc(&target, '.');
	quote_name(&target, m->relation.identifier);
	pm->target = strbuf_detach(&target);
	bool failed = false;
	pm->column = plain_column(m->event_time, &failed);
	if (!pm->target || failed)
		return error_set(why_not, ENOMEM, "no memory for %s", m->dir);
	int r = window_sql_parse(SQL_POSTGRES, m, NULL, &pm->sql, why_not);
	return r == -ENOMEM ? r : r ? error_prefix(why_not, "the compiled SQL of %s: ", m->dir) : 0;
}

static int check_database(struct store *s, const char *database, const struct model *m, struct error *why_not)
{
	if (!m->relation.database || strcmp(m->relation.database, database) == 0)
		return 0;
	return error_set(why_not, EOPNOTSUPP,
			 "%s is built into the database %s, this mount is connected to %s: name the right "
			 "one in the service or "
			 "in PGDATABASE",
			 m->dir, m->relation.database, database);
}

static int make_models(struct enlisting *e, const struct model *const *models, const char *database,
		       struct error *err)
{
	struct store *s = e->s;
	for (size_t i = 0; i < s->n; i++) {
		struct error *why_not = &e->targets[i].why_not;
		e->targets[i] = (struct store_target){0};
		int r = make_model(s, i, models[i], why_not);
		if (r == -ENOMEM) {
			if (err)
				*err = *why_not;
			return r;
		}
		if (r || !verdict_builds(models[i], PG_SUPPORTS) ||
		    check_database(s, database, models[i], why_not)) {
			e->targets[i].lasting = true;
			continue;
		}
		e->models[e->n++] = &s->models[i];
	}
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const struct id_index *x = a, *y = b;
	return x->id != y->id ? (x->id < y->id ? -1 : 1) : x->index - y->index;
}

/* The state belongs to the target: of two models that build into one, the second cannot run. Returns how many
 * stay. */
static size_t drop_doubles(struct enlisting *e, struct id_index *list, size_t n)
{
	struct pg_model *models = e->s->models;
	size_t kept = 0;
	qsort(list, n, sizeof *list, by_id);
	for (size_t i = 0; i < n; i++) {
		struct pg_model *m = &models[list[i].index];
		if (!kept || list[kept - 1].id != list[i].id) {
			list[kept++] = list[i];
			continue;
		}
		error_set(&e->targets[m->index].why_not, EOPNOTSUPP, "%s builds into %s, as %s does",
			  m->model->dir, m->target, models[list[kept - 1].index].model->dir);
	}
	return kept;
}

/* r NULL: none has any. */
static int take_ids(struct enlisting *e, const PGresult *r, struct error *err)
{
	struct store *s = e->s;
	size_t n = 0;
	auto_free struct id_index *list = calloc(e->n + 1, sizeof *list);
	if (!list)
		return error_set(err, ENOMEM, "no memory for %s",
				 count_of((uint64_t)e->n, "model", "models").text);
	for (int row = 0; row < PQntuples(r) && n < e->n; row++) {
		size_t i = (size_t)pg_int(r, row, 0);
		if (i >= e->n)
			continue;
		e->known[i].oid = (uint32_t)pg_int(r, row, 2);
		list[n++] = (struct id_index){.id = (int)pg_int(r, row, 1), .index = e->models[i]->index};
	}
	n = drop_doubles(e, list, n);
	LOCKED(&s->lock);
	for (size_t i = 0; i < e->n; i++)
		__atomic_store_n(&e->models[i]->id, 0, __ATOMIC_RELAXED);
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(&s->models[list[i].index].id, list[i].id, __ATOMIC_RELAXED);
	free(s->by_id);
	s->by_id = steal(&list);
	s->n_ids = n;
	return 0;
}

bool ids_of_all(struct store *s, struct strbuf *ids)
{
	LOCKED(&s->lock);
	for (size_t i = 0; i < s->n_ids; i++)
		pg_array_int(ids, s->by_id[i].id);
	pg_array_end(ids);
	return s->n_ids > 0;
}

static int find_ids(struct enlisting *e, struct error *err)
{
	struct store *s = e->s;
	if (!s->schema || e->n == 0)
		return take_ids(e, NULL, err);
	struct strbuf keys[4] = {STRBUF_INIT, STRBUF_INIT, STRBUF_INIT, STRBUF_INIT};
	for (size_t i = 0; i < e->n; i++) {
		const struct model *m = e->models[i]->model;
		pg_array_int(&keys[0], (int64_t)i);
		pg_array_text(&keys[1], m->relation.schema);
		pg_array_text(&keys[2], m->relation.identifier);
		pg_array_text(&keys[3], calendar_size_name(m->batch_size));
	}
	struct pg_params params = {0};
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	for (int i = 0; i < 4; i++) {
		pg_array_end(&keys[i]);
		p.broken |= strbuf_broken(&keys[i]);
		pg_param_text(&params, keys[i].str);
	}
	if (!s->config->read_only) {
		pg_add_begin(&p);
		pg_add(&p, SQL_ENLIST_ADD, &params);
	}
	size_t found = pg_add(&p, SQL_ENLIST_FIND, &params);
	if (!s->config->read_only)
		pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (!r)
		r = take_ids(e, p.results[found], err);
	for (int i = 0; i < 4; i++)
		strbuf_fini(&keys[i]);
	return r;
}

static int meet_targets(struct enlisting *e, struct error *err)
{
	struct store *s = e->s;
	int64_t until = pg_deadline(s);
	int r = shape_read(s, &s->control, e->models, e->n, e->shapes, until, err);
	if (!r)
		r = accept_targets(s, &s->control, e->models, e->shapes, e->known, e->n, until, err);
	for (size_t i = 0; i < e->n && !r; i++) {
		struct pg_model *m = e->models[i];
		struct store_target *target = &e->targets[m->index];
		struct error why_not = target->why_not;
		describe_target(m, e->shapes[i], e->known[i].look, target);
		if (why_not.err) {
			target->why_not = why_not;
			target->lasting = true;
		}
		shape_keep(s, m, e->shapes[i]);
	}
	for (size_t i = 0; i < e->n; i++)
		shape_put(s, e->shapes[i]);
	return r;
}

/* One model with a name that cannot be sent must not be the end of all. */
static int drop_unheld(struct enlisting *e, struct error *err)
{
	struct store *s = e->s;
	auto_free bool *held = calloc(e->n + 1, sizeof *held);
	if (!held)
		return error_set(err, ENOMEM, "no memory for %s", count_of(e->n, "model", "models").text);
	int r = names_held(s, &s->control, e->models, e->n, held, pg_deadline(s), err);
	size_t kept = 0;
	for (size_t i = 0; i < e->n && !r; i++) {
		struct pg_model *m = e->models[i];
		if (held[i])
			e->models[kept++] = m;
		else
			error_set(
				&e->targets[m->index].why_not, EOPNOTSUPP,
				"the name of %s, or of what it reads, has a character that a database in %s "
				"cannot hold",
				m->target, PQparameterStatus(s->control.pq, "server_encoding"));
	}
	e->n = r ? e->n : kept;
	return r;
}

static int enlist(struct enlisting *e, struct error *err)
{
	int r = find_ids(e, err);
	return r ? r : meet_targets(e, err);
}

int pg_enlist(struct store *s, const struct model *const *list, struct store_target *targets, size_t n,
	      struct error *err)
{
	auto_free struct pg_model **models = calloc(n + 1, sizeof *models);
	auto_free struct pg_shape **shapes = calloc(n + 1, sizeof *shapes);
	auto_free struct pg_known *known = calloc(n + 1, sizeof *known);
	s->models = calloc(n + 1, sizeof *s->models);
	if (!models || !shapes || !known || !s->models)
		return error_set(err, ENOMEM, "no memory for %s",
				 count_of((uint64_t)n, "model", "models").text);
	s->n = n;
	int r = store_connect(s, true, err);
	auto_result *database = NULL;
	if (!r)
		r = pg_query_row(&s->control, pg_deadline(s), "select pg_catalog.current_database()", NULL,
				 &database, err);
	if (r)
		return r;
	struct enlisting e = {.s = s, .targets = targets, .models = models, .shapes = shapes, .known = known};
	r = make_models(&e, list, pg_text(database, 0, 0), err);
	if (!r)
		r = drop_unheld(&e, err);
	for (size_t i = 0; i < e.n && !r; i++)
		models[i]->enlisted = true;
	return r ? r : enlist(&e, err);
}

int enlist_again(struct store *s, struct error *err)
{
	auto_free struct pg_model **models = calloc(s->n + 1, sizeof *models);
	auto_free struct pg_shape **shapes = calloc(s->n + 1, sizeof *shapes);
	auto_free struct pg_known *known = calloc(s->n + 1, sizeof *known);
	auto_free struct store_target *targets = calloc(s->n + 1, sizeof *targets);
	if (!models || !shapes || !known || !targets)
		return error_set(err, ENOMEM, "no memory for %s",
				 count_of((uint64_t)s->n, "model", "models").text);
	struct enlisting e = {.s = s, .targets = targets, .models = models, .shapes = shapes, .known = known};
	for (size_t i = 0; i < s->n; i++)
		if (s->models[i].enlisted)
			models[e.n++] = &s->models[i];
	int r = enlist(&e, err);
	if (r)
		return r;
	free(s->met);
	s->met = steal(&targets);
	return 0;
}

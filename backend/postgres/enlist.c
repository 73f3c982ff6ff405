/* SPDX-License-Identifier: Apache-2.0 */
/* Models get their permanent ids and meet their targets. */
#include <stdio.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/postgres/encoding.h"
#include "backend/postgres/offer.h"
#include "backend/postgres/sql.h"

/* Those that can run so far, by slot, and what is found out about each. */
struct enlisting {
	struct store *s;
	struct store_target *targets;
	struct pg_model **all; /* n_all, by slot: as store.models will be */
	size_t n_all;
	struct id_index *by_id; /* as store.by_id will be; NULL: not known yet */
	size_t n_ids;
	struct pg_model **models;
	struct pg_shape **shapes;
	struct pg_known *known;
	size_t n;
};

static int check_database(struct store *s, const char *database, const struct model *m, struct error *why_not)
{
	if (s->config->elsewhere || !m->relation.database || strcmp(m->relation.database, database) == 0)
		return 0;
	return error_set(why_not, EOPNOTSUPP,
			 "%s is built into the database %s, this mount is connected to %s: name the right "
			 "one in the service or "
			 "in PGDATABASE",
			 m->dir, m->relation.database, database);
}

/* A model whose facts are the same ones stays what it is, with what is known of its target. */
static struct pg_model *take_model(struct store *s, size_t i, const struct model *m)
{
	bool same = i < s->n && s->models[i]->model == m && model_builds(s->models[i]) && !s->models[i]->gone;
	return same ? model_get(s, (slot)i) : model_new(s, (slot)i, m);
}

/* What runs of it goes on, and what it was comes back with it. */
static void take_gone(struct enlisting *e, size_t i)
{
	e->all[i] = model_get(e->s, (slot)i);
	e->all[i]->gone = true;
	if (e->all[i]->enlisted)
		e->models[e->n++] = e->all[i];
}

static int make_models(struct enlisting *e, const struct model *const *models, const char *database,
		       struct error *err)
{
	struct store *s = e->s;
	for (size_t i = 0; i < e->n_all; i++) {
		struct error *why_not = &e->targets[i].why_not;
		e->targets[i] = (struct store_target){0};
		if (!models[i]) {
			take_gone(e, i);
			continue;
		}
		e->all[i] = take_model(s, i, models[i]);
		if (!e->all[i])
			return error_set(err, ENOMEM, "no memory for %s", models[i]->dir);
		int r = e->all[i]->target ? 0 : model_make(e->all[i], why_not);
		if (r == -ENOMEM) {
			if (err)
				*err = *why_not;
			return r;
		}
		if (r || check_database(s, database, models[i], why_not)) {
			e->targets[i].lasting = true;
			continue;
		}
		guest_refuses(s->config, PG_SUPPORTS, models[i], why_not);
		e->models[e->n++] = e->all[i];
	}
	return 0;
}

/* Of those with one id the one that is built comes first. */
static int by_id(const void *a, const void *b)
{
	const struct id_index *x = a, *y = b;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->gone != y->gone)
		return x->gone - y->gone;
	return x->builds != y->builds ? y->builds - x->builds : x->index - y->index;
}

/* The state belongs to the target: of two models that build into one, the second cannot run. Returns how many
 * stay. */
static size_t drop_doubles(struct enlisting *e, struct id_index *list, size_t n)
{
	struct pg_model **models = e->all;
	size_t kept = 0;
	qsort(list, n, sizeof *list, by_id);
	for (size_t i = 0; i < n; i++) {
		struct pg_model *m = models[list[i].index];
		if (!kept || list[kept - 1].id != list[i].id) {
			list[kept++] = list[i];
			m->astray = false;
			continue;
		}
		/* Whoever has taken its place goes on with its states. */
		m->astray = list[i].gone;
		if (m->astray)
			continue;
		error_set(&e->targets[m->index].why_not, EOPNOTSUPP, "%s builds into %s, as %s does",
			  m->model->dir, m->target, models[list[kept - 1].index]->model->dir);
	}
	return kept;
}

static void set_other_sizes(struct store *s, struct pg_model *m, const char *sizes)
{
	LOCKED(&s->lock);
	snprintf(m->other_sizes, sizeof m->other_sizes, "%s", sizes);
}

/* r NULL: none has any. */
static int take_ids(struct enlisting *e, const PGresult *r, struct error *err)
{
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
		set_other_sizes(e->s, e->models[i], pg_text(r, row, 3));
		list[n++] = (struct id_index){.id = (int)pg_int(r, row, 1),
					      .index = e->models[i]->index,
					      .gone = e->models[i]->gone,
					      .builds = model_builds(e->models[i]),
					      .size = e->models[i]->model->batch_size};
	}
	auto_free int *ids = calloc(e->n_all + 1, sizeof *ids);
	if (!ids)
		return error_set(err, ENOMEM, "no memory for %s",
				 count_of((uint64_t)e->n, "model", "models").text);
	n = drop_doubles(e, list, n);
	for (size_t i = 0; i < n; i++)
		ids[list[i].index] = list[i].id;
	for (size_t i = 0; i < e->n; i++)
		if (!e->models[i]->astray)
			__atomic_store_n(&e->models[i]->id, ids[e->models[i]->index], __ATOMIC_RELAXED);
	e->by_id = steal(&list);
	e->n_ids = n;
	return 0;
}

/* From here on this is what the slots stand for. Workers go on with what they hold. */
static void publish(struct enlisting *e)
{
	struct store *s = e->s;
	auto_free struct id_index *former = NULL;
	LOCKED(&s->lock);
	former = s->by_id;
	s->by_id = steal(&e->by_id);
	s->n_ids = e->n_ids;
	for (size_t i = 0; i < e->n_all; i++) {
		struct pg_model *was = s->models[i];
		s->models[i] = e->all[i];
		e->all[i] = was;
	}
	s->n = e->n_all;
}

bool ids_of_all(struct store *s, struct strbuf *ids)
{
	LOCKED(&s->lock);
	for (size_t i = 0; i < s->n_ids; i++)
		pg_array_int(ids, s->by_id[i].id);
	pg_array_end(ids);
	return s->n_ids > 0;
}

/*
 * Which warehouse has the table; nothing: this database. What another one is called the manifest says only in
 * part (two accounts may both have a database of one name), so it is that of one project, and of one target
 * of its profile: as the file of states is of engine=dbt.
 */
static void put_warehouse(const struct store *s, const struct model *m, struct strbuf *out)
{
	const struct engine_config *c = s->config;
	if (c->elsewhere && m->catalog)
		strbuf_printf(out, "%s project=%s target=%s database=%s", m->catalog->adapter_type,
			      m->catalog->project, c->target ? c->target : "",
			      m->relation.database ? m->relation.database : "");
}

static int find_ids(struct enlisting *e, struct error *err)
{
	struct store *s = e->s;
	if (!s->schema || e->n == 0)
		return take_ids(e, NULL, err);
	auto_columns keys;
	pg_columns_init(&keys, 5);
	for (size_t i = 0; i < e->n; i++) {
		const struct model *m = e->models[i]->model;
		pg_array_int(&keys.column[0], (int64_t)i);
		auto_strbuf warehouse = STRBUF_INIT;
		put_warehouse(s, m, &warehouse);
		keys.column[4].broken |= strbuf_broken(&warehouse);
		pg_array_text(&keys.column[1], m->relation.schema ? m->relation.schema : "");
		pg_array_text(&keys.column[2], m->relation.identifier);
		pg_array_text(&keys.column[3], calendar_size_name(m->batch_size));
		pg_array_text(&keys.column[4], warehouse.str);
	}
	struct pg_params params = {0};
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_columns_end(&keys);
	p.broken = pg_columns_broken(&keys);
	pg_param_columns(&params, &keys, 0, 5);
	if (!s->config->read_only) {
		pg_add_begin(&p);
		pg_add(&p, SQL_ENLIST_ADD, &params);
	}
	size_t found = pg_add(&p, SQL_ENLIST_FIND, &params);
	if (!s->config->read_only)
		pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	return r ? r : take_ids(e, p.results[found], err);
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
		describe_target(&s->control, m, e->shapes[i], e->known[i].look, target);
		m->unbuilt = why_not;
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

/* What can be built here; whether it can be now does not matter. */
static int offer(struct enlisting *e, struct error *err)
{
	struct offer o = {.codes = STRBUF_INIT, .begins = STRBUF_INIT};
	for (size_t i = 0; i < e->n; i++) {
		const struct pg_model *m = e->models[i];
		const struct store_target *t = &e->targets[m->index];
		if (model_builds(m) && !m->gone && !(t->why_not.err && t->lasting))
			offer_add(&o, m->model);
	}
	int r = offer_make(e->s, &o, err);
	offer_fini(&o);
	return r;
}

static int enlist(struct enlisting *e, struct error *err)
{
	int r = find_ids(e, err);
	if (!r)
		r = meet_targets(e, err);
	return r || !e->s->schema || e->s->config->read_only ? r : offer(e, err);
}

static bool enlisting_init(struct enlisting *e, size_t n)
{
	e->n_all = n;
	e->all = calloc(n + 1, sizeof *e->all);
	e->models = calloc(n + 1, sizeof *e->models);
	e->shapes = calloc(n + 1, sizeof *e->shapes);
	e->known = calloc(n + 1, sizeof *e->known);
	return e->all && e->models && e->shapes && e->known;
}

/* What was published leaves what it has taken the place of. */
static void enlisting_fini(struct enlisting *e)
{
	for (size_t i = 0; e->all && i < e->n_all; i++)
		model_put(e->all[i]);
	free(e->all);
	free(e->models);
	free(e->shapes);
	free(e->known);
	free(e->by_id);
}

static int enlist_models(struct enlisting *e, const struct model *const *list, struct error *err)
{
	struct store *s = e->s;
	int r = store_connect(s, true, err);
	auto_result *database = NULL;
	if (!r)
		r = pg_query_row(&s->control, pg_deadline(s), "select pg_catalog.current_database()", NULL,
				 &database, err);
	if (!r)
		r = make_models(e, list, pg_text(database, 0, 0), err);
	if (!r)
		r = drop_unheld(e, err);
	for (size_t i = 0; i < e->n && !r; i++)
		e->models[i]->enlisted = true;
	if (!r)
		r = enlist(e, err);
	if (!r)
		publish(e);
	return r;
}

int pg_enlist(struct store *s, const struct model *const *list, struct store_target *targets, size_t n,
	      struct error *err)
{
	struct enlisting e = {.s = s, .targets = targets};
	if (!s->models)
		s->models = calloc(SLOTS_MAX, sizeof *s->models);
	int r = enlisting_init(&e, n) && s->models ? enlist_models(&e, list, err)
						   : error_set(err, ENOMEM, "no memory for %s",
							       count_of((uint64_t)n, "model", "models").text);
	enlisting_fini(&e);
	return r;
}

int enlist_again(struct store *s, struct error *err)
{
	auto_free struct store_target *targets = calloc(s->n + 1, sizeof *targets);
	struct enlisting e = {.s = s, .targets = targets};
	int r = enlisting_init(&e, s->n) && targets
			? 0
			: error_set(err, ENOMEM, "no memory for %s",
				    count_of((uint64_t)s->n, "model", "models").text);
	for (size_t i = 0; i < s->n && !r; i++) {
		e.all[i] = model_get(s, (slot)i);
		if (!e.all[i]->enlisted)
			continue;
		/* What has refused it lies in its facts, which are the same ones. */
		targets[i].why_not = e.all[i]->unbuilt;
		e.models[e.n++] = e.all[i];
	}
	if (!r)
		r = enlist(&e, err);
	if (!r) {
		publish(&e);
		free(s->met);
		s->met = steal(&targets);
	}
	enlisting_fini(&e);
	return r;
}

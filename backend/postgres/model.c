/* SPDX-License-Identifier: Apache-2.0 */
/* A model as one manifest has it: made, held by who works with it, freed with the last of them. */
#include <string.h>

#include "backend/postgres/pgstore.h"

/* What is recorded of a model was reported, and what lies before a begin that has moved back was not. */
struct pg_model *model_new(struct store *s, slot model, const struct model *m)
{
	const struct pg_model *was = model < (slot)s->n ? s->models[model] : NULL;
	struct pg_model *pm = calloc(1, sizeof *pm);
	if (!pm)
		return NULL;
	*pm = (struct pg_model){.store = s,
				.refs = 1,
				.model = model_hold(m),
				.index = model,
				.loaded = was && was->loaded && !was->astray && m->begin >= was->loaded_begin,
				.anew = was && (was->anew || was->astray),
				.loaded_begin = was ? was->loaded_begin : 0,
				.guest = guest_builds(s->config, PG_SUPPORTS, m),
				.loses_outside = model_loses_outside(m)};
	return pm;
}

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

static void put_target(bool elsewhere, const struct model *m, struct strbuf *out)
{
	if (elsewhere) {
		strbuf_puts(out, m->relation.rendered);
		return;
	}
	quote_name(out, m->relation.schema);
	strbuf_putc(out, '.');
	quote_name(out, m->relation.identifier);
}

int model_make(struct pg_model *pm, struct error *why_not)
{
	const struct model *m = pm->model;
	bool elsewhere = pm->store->config->elsewhere;
	if (!verdict_looks(m))
		return -EOPNOTSUPP;
	if (!elsewhere && !m->relation.schema)
		return error_set(why_not, EOPNOTSUPP, "%s names no schema for its table", m->dir);
	if (!elsewhere && (check_length(m, m->relation.schema, why_not) ||
			   check_length(m, m->relation.identifier, why_not)))
		return -EOPNOTSUPP;
	auto_strbuf target = STRBUF_INIT;
	put_target(elsewhere, m, &target);
	pm->target = strbuf_detach(&target);
	bool failed = false;
	pm->column = plain_column(m->event_time, &failed);
	if (!pm->target || failed)
		return error_set(why_not, ENOMEM, "no memory for %s", m->dir);
	/* What cannot be built here is looked at all the same. */
	if (pm->guest || !verdict_builds(m, PG_SUPPORTS))
		return 0;
	int r = window_sql_parse(SQL_POSTGRES, m, NULL, &pm->sql, why_not);
	if (r && r != -ENOMEM)
		error_prefix(why_not, "the compiled SQL of %s: ", m->dir);
	return r == -ENOMEM ? r : 0;
}

struct pg_model *model_get(struct store *s, slot model)
{
	LOCKED(&s->lock);
	s->models[model]->refs++;
	return s->models[model];
}

void model_busy(struct pg_model *m, bool begins)
{
	LOCKED(&m->store->lock);
	if (begins)
		m->busy++;
	else
		m->busy--;
}

static void model_free(struct pg_model *m)
{
	shape_put(m->store, m->shape);
	window_sql_free(m->sql);
	model_drop(m->model);
	free(m->target);
	free(m->column);
	free(m);
}

void model_put(struct pg_model *m)
{
	bool last = false;
	if (m) {
		LOCKED(&m->store->lock);
		last = --m->refs == 0;
	}
	if (last)
		model_free(m);
}

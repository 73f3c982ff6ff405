/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets that were made, dropped or exchanged by others: one query for all of them, which yields those whose
 * name stands for another table than the one that was told of last.
 */
#include "backend/base/count.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

/* Within two seconds it is to be noticed. */
#define MEET_US 1000000

/* With the lock. Who is making it or meets it for the first time tells of it himself, soon. */
static bool is_watched(const struct store *s, const struct pg_model *m, bool soon)
{
	return m->enlisted && !m->gone && !m->astray && (!m->busy || !soon) && (pg_id(m) || !s->schema);
}

static int find_changed(struct store *s, bool soon, PGresult **out, struct error *err)
{
	auto_columns c;
	struct pg_params params = {0};
	bool any = false;
	pg_columns_init(&c, 5);
	{
		LOCKED(&s->lock);
		for (size_t i = 0; i < s->n; i++) {
			const struct pg_model *m = s->models[i];
			if (!is_watched(s, m, soon))
				continue;
			pg_array_int(&c.column[0], (int64_t)i);
			pg_array_text(&c.column[1], m->model->relation.schema);
			pg_array_text(&c.column[2], m->model->relation.identifier);
			pg_array_int(&c.column[3], m->shape ? m->shape->oid : 0);
			pg_array_int(&c.column[4], m->guest ? pg_id(m) : 0);
			any = true;
		}
	}
	pg_columns_end(&c);
	if (!any)
		return 0;
	if (pg_columns_broken(&c))
		return error_set(err, ENOMEM, "no memory to look for targets");
	pg_param_columns(&params, &c, 0, s->schema ? 5 : 4);
	return pg_query(&s->control, pg_deadline(s), s->schema ? SQL_TARGETS_CHANGED : SQL_TARGETS_UNRECORDED,
			&params, out, err);
}

/* Which tables their states are of, now. */
static int read_known(struct store *s, struct pg_model *const *models, struct pg_known *known, size_t n,
		      struct error *err)
{
	auto_columns c;
	struct pg_params params = {0};
	auto_result *r = NULL;
	if (!s->schema)
		return 0;
	pg_columns_init(&c, 1);
	for (size_t i = 0; i < n; i++)
		pg_array_int(&c.column[0], pg_id(models[i]));
	pg_columns_end(&c);
	if (pg_columns_broken(&c))
		return error_set(err, ENOMEM, "no memory to look for targets");
	pg_param_columns(&params, &c, 0, 1);
	int failed = store_query(s, SQL_TARGETS_KNOWN, &params, &r, err);
	for (size_t i = 0; i < n && !failed; i++)
		known[i].oid = (uint32_t)pg_int(r, (int)i, 0);
	return failed;
}

static int meet(struct store *s, struct pg_model **models, struct pg_shape **shapes, struct pg_known *known,
		size_t n, const struct store_sink *sink, struct error *err)
{
	int64_t until = pg_deadline(s);
	int r = read_known(s, models, known, n, err);
	if (!r)
		r = shape_read(s, &s->control, models, n, shapes, until, err);
	if (!r)
		r = accept_targets(s, &s->control, models, shapes, known, n, until, err);
	for (size_t i = 0; i < n && !r; i++) {
		struct store_target target;
		describe_target(&s->control, models[i], shapes[i], known[i].look, &target);
		if (models[i]->unbuilt.err) {
			target.why_not = models[i]->unbuilt;
			target.lasting = true;
		}
		shape_keep(s, models[i], shapes[i]);
		log_info(s->config->log, "%s %s", models[i]->target,
			 !target.exists ? "is not there any more"
			 : target.look	? "is another table than before"
					: "is there now");
		sink->target(sink->ctx, models[i]->index, &target);
	}
	for (size_t i = 0; i < n; i++)
		shape_put(s, shapes[i]);
	return r;
}

/* soon: it is soon enough to hear of it. */
static int check(struct store *s, bool soon, const struct store_sink *sink, struct error *err)
{
	auto_result *changed = NULL;
	s->met_at = clock_monotonic_us();
	if (s->config->elsewhere)
		return 0;
	int r = find_changed(s, soon, &changed, err);
	size_t n = r ? 0 : (size_t)PQntuples(changed);
	if (!n)
		return r;
	auto_free struct pg_model **models = calloc(n, sizeof *models);
	auto_free struct pg_shape **shapes = calloc(n, sizeof *shapes);
	auto_free struct pg_known *known = calloc(n, sizeof *known);
	if (!models || !shapes || !known)
		return error_set(err, ENOMEM, "no memory for %s", count_of(n, "model", "models").text);
	/* The control thread alone changes what the slots stand for. */
	for (size_t i = 0; i < n; i++)
		models[i] = s->models[pg_int(changed, (int)i, 0)];
	return meet(s, models, shapes, known, n, sink, err);
}

int targets_follow(struct store *s, const struct store_sink *sink, int64_t *next, struct error *err)
{
	int r = clock_monotonic_us() >= s->met_at + MEET_US ? check(s, true, sink, err) : 0;
	if (*next > s->met_at + MEET_US)
		*next = s->met_at + MEET_US;
	return r;
}

int pg_check(struct store *s, const struct store_sink *sink, struct error *err)
{
	int r = store_connect(s, false, err);
	if (!r && s->anew)
		return error_set(err, EAGAIN, "the states are read anew first");
	return r ? r : check(s, false, sink, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the database says of targets and inputs: a few queries, however many models. */
#include <string.h>

#include "backend/base/count.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/record.h"
#include "backend/postgres/sql.h"

enum { OID_DATE = 1082, OID_TIMESTAMP = 1114, OID_TIMESTAMPTZ = 1184 };

enum time_type shape_type(uint32_t oid)
{
	return oid == OID_TIMESTAMPTZ ? TIME_TIMESTAMPTZ
	       : oid == OID_TIMESTAMP ? TIME_TIMESTAMP
	       : oid == OID_DATE      ? TIME_DATE
	       : oid		      ? TIME_UNSUPPORTED
				      : TIME_UNKNOWN;
}

struct pg_shape *shape_new(const struct model *m)
{
	struct pg_shape *shape = calloc(1, sizeof *shape);
	if (!shape)
		return NULL;
	shape->refs = 1;
	shape->types = calloc(m->n_inputs + 1, sizeof *shape->types);
	if (!shape->types) {
		free(shape);
		return NULL;
	}
	return shape;
}

struct pg_shape *shape_get(struct store *s, struct pg_model *m)
{
	LOCKED(&s->lock);
	if (m->shape)
		m->shape->refs++;
	return m->shape;
}

void shape_put(struct store *s, struct pg_shape *shape)
{
	if (!shape)
		return;
	{
		LOCKED(&s->lock);
		if (--shape->refs > 0)
			return;
	}
	free(shape->columns);
	free(shape->hinders);
	free(shape->types);
	free(shape);
}

void shape_keep(struct store *s, struct pg_model *m, struct pg_shape *shape)
{
	struct pg_shape *was;
	{
		LOCKED(&s->lock);
		was = m->shape;
		m->shape = shape;
		shape->refs++;
	}
	shape_put(s, was);
}

/* As the server keeps it: what the SQL of a model names is cut off there as well. */
static void add_kept(struct strbuf *array, const char *name)
{
	char kept[NAME_LONGEST + 1];
	if (name) {
		size_t n = kept_length(name);
		memcpy(kept, name, n);
		kept[n] = '\0';
	}
	pg_array_text(array, name ? kept : NULL);
}

static void add_name(struct pg_columns *names, int64_t number, const struct relation *rel, const char *column)
{
	pg_array_int(&names->column[0], number);
	add_kept(&names->column[1], rel->schema);
	add_kept(&names->column[2], rel->identifier);
	add_kept(&names->column[3], column);
}

static size_t add_query(struct pg_pipe *p, unsigned which, const char *sql, struct pg_columns *names)
{
	struct pg_params params = {0};
	pg_columns_end(names);
	p->broken |= pg_columns_broken(names);
	pg_param_columns(&params, names, 0, names->n);
	return pg_add_kept(p, which, sql, &params);
}

/* A type that windows of the model's size can be cut from. */
static void check_type(const struct model *m, struct pg_shape *shape, enum time_type type,
		       const struct relation *rel, const char *column, const char *type_name)
{
	if (shape->why_not.err)
		return;
	const char *name = rel->rendered ? rel->rendered : rel->identifier;
	if (type == TIME_UNSUPPORTED)
		error_set(&shape->why_not, EOPNOTSUPP,
			  "event_time %s of %s is of type %s: batches can be cut from timestamptz, timestamp "
			  "and date only",
			  column, name, type_name);
	else if (type == TIME_DATE && m->batch_size == BATCH_HOUR)
		error_set(&shape->why_not, EOPNOTSUPP,
			  "event_time %s of %s is of type date, which has whole days only: no batch of an "
			  "hour can be cut "
			  "from it; use batch_size day, month or year",
			  column, name);
}

static int take_target(const struct pg_model *m, struct pg_shape *shape, const PGresult *r, int row,
		       struct error *err)
{
	const struct relation *rel = &m->model->relation;
	shape->oid = (uint32_t)pg_int(r, row, 1);
	shape->kind = *pg_text(r, row, 2);
	shape->type = shape_type((uint32_t)pg_int(r, row, 3));
	shape->indexed = pg_bool(r, row, 5);
	shape->secured = pg_bool(r, row, 7);
	shape->limited = pg_bool(r, row, 8);
	shape->expressed = pg_bool(r, row, 9);
	shape->ranged = pg_bool(r, row, 10);
	shape->columns = strdup(pg_text(r, row, 6));
	if (!pg_null(r, row, 11))
		shape->hinders = strdup(pg_text(r, row, 11));
	if (!shape->columns || (!pg_null(r, row, 11) && !shape->hinders))
		return error_set(err, ENOMEM, "no memory for the columns of %s", m->target);
	if (shape->kind != 'r' && shape->kind != 'p')
		error_set(
			&shape->why_not, EOPNOTSUPP,
			"%s is %s: batches are built into a table; drop it, or name another one in the model",
			m->target,
			shape->kind == 'v'   ? "a view"
			: shape->kind == 'm' ? "a materialized view"
			: shape->kind == 'f' ? "a foreign table"
					     : "no table");
	else if (m->column && pg_null(r, row, 3))
		error_set(&shape->why_not, EOPNOTSUPP, "%s has no column %s, which is its event_time",
			  m->target, m->column);
	check_type(m->model, shape, shape->type, rel, m->model->event_time, pg_text(r, row, 4));
	shape->unfit = shape->why_not.err != 0;
	return 0;
}

/* The column that an input's event_time is, or NULL where only a description tells its type. */
static char *input_column(const struct input *in, bool *failed)
{
	return in->filtered && in->event_time && !in->ephemeral ? plain_column(in->event_time, failed) : NULL;
}

int shape_add(struct pg_pipe *p, struct pg_model *const *models, size_t n, struct shape_asked *asked,
	      struct error *err)
{
	auto_columns targets, inputs;
	pg_columns_init(&targets, 4);
	pg_columns_init(&inputs, 4);
	bool failed = false;
	int64_t number = 0;
	for (size_t i = 0; i < n; i++) {
		const struct model *m = models[i]->model;
		add_name(&targets, (int64_t)i, &m->relation, models[i]->column);
		for (size_t k = 0; k < m->n_inputs; k++, number++) {
			/* Of what cannot be built here the target is all that is looked at. */
			auto_free char *column = models[i]->sql ? input_column(&m->inputs[k], &failed) : NULL;
			if (column)
				add_name(&inputs, number, &m->inputs[k].relation, column);
		}
	}
	asked->targets = add_query(p, 0, SQL_SHAPE_TARGETS, &targets);
	asked->inputs = add_query(p, 1, SQL_SHAPE_INPUTS, &inputs);
	return failed ? error_set(err, ENOMEM, "no memory for %s",
				  count_of((uint64_t)n, "model", "models").text)
		      : 0;
}

/* Rows come in any order: the number counts the inputs of all models, one after the other. */
static void take_inputs(struct pg_model *const *models, size_t n, struct pg_shape **shapes, const PGresult *r)
{
	for (int row = 0; row < PQntuples(r); row++) {
		int64_t number = pg_int(r, row, 0);
		size_t i = 0;
		while (i < n && number >= (int64_t)models[i]->model->n_inputs)
			number -= (int64_t)models[i++]->model->n_inputs;
		if (i == n)
			continue;
		const struct input *in = &models[i]->model->inputs[number];
		if (pg_null(r, row, 2) && !shapes[i]->why_not.err)
			error_set(&shapes[i]->why_not, EOPNOTSUPP,
				  "%s has no column %s, which is its event_time, by which %s reads it",
				  in->relation.rendered, in->event_time, models[i]->model->dir);
		shapes[i]->types[number] = shape_type((uint32_t)pg_int(r, row, 2));
		check_type(models[i]->model, shapes[i], shapes[i]->types[number], &in->relation,
			   in->event_time, pg_text(r, row, 3));
	}
}

int shape_take(struct store *s, const struct pg_pipe *p, const struct shape_asked *asked,
	       struct pg_model *const *models, size_t n, struct pg_shape **out, struct error *err)
{
	int r = 0;
	for (size_t i = 0; i < n && !r; i++) {
		out[i] = shape_new(models[i]->model);
		if (!out[i])
			r = error_set(err, ENOMEM, "no memory for %s",
				      count_of((uint64_t)n, "model", "models").text);
	}
	const PGresult *targets = p->results[asked->targets];
	for (int row = 0; !r && row < PQntuples(targets); row++) {
		int64_t i = pg_int(targets, row, 0);
		r = take_target(models[i], out[i], targets, row, err);
	}
	if (!r)
		take_inputs(models, n, out, p->results[asked->inputs]);
	for (size_t i = 0; i < n && r; i++) {
		shape_put(s, out[i]);
		out[i] = NULL;
	}
	return r;
}

/* Of a table in another warehouse, of which nothing is known here. */
static struct pg_shape *shape_elsewhere(const struct model *m)
{
	struct pg_shape *shape = shape_new(m);
	if (!shape)
		return NULL;
	shape->oid = OID_ELSEWHERE;
	shape->kind = 'r';
	shape->indexed = shape->expressed = true; /* whether it is nobody here has to say */
	shape->type = TIME_UNKNOWN;
	return shape;
}

static int all_elsewhere(struct pg_model *const *models, size_t n, struct pg_shape **out, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		out[i] = shape_elsewhere(models[i]->model);
		if (!out[i])
			return error_set(err, ENOMEM, "no memory for %s", models[i]->target);
	}
	return 0;
}

int shape_read(struct store *s, struct pg_conn *c, struct pg_model *const *models, size_t n,
	       struct pg_shape **out, int64_t deadline, struct error *err)
{
	auto_pipe p = PG_PIPE(c, deadline);
	struct shape_asked asked;
	bool elsewhere = s->config->elsewhere;
	int r = elsewhere ? all_elsewhere(models, n, out, err) : shape_add(&p, models, n, &asked, err);
	if (!r && !elsewhere)
		r = pg_run(&p, err);
	if (!r && !elsewhere)
		r = shape_take(s, &p, &asked, models, n, out, err);
	if (!r && !elsewhere)
		r = describe_types(s, c, models, n, out, deadline, err);
	for (size_t i = 0; i < n && r; i++) {
		shape_put(s, out[i]);
		out[i] = NULL;
	}
	return r;
}

bool shape_same(const struct pg_model *m, const struct pg_shape *a, const struct pg_shape *b)
{
	return a->oid == b->oid && a->kind == b->kind && a->secured == b->secured &&
	       a->limited == b->limited && a->type == b->type && !a->why_not.err && !b->why_not.err &&
	       a->columns && b->columns && strcmp(a->columns, b->columns) == 0 &&
	       memcmp(a->types, b->types, m->model->n_inputs * sizeof *a->types) == 0;
}

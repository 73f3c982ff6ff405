/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The type of an event_time that is an expression, or comes from an ephemeral model: the
 * server describes a statement that yields it. What cannot be described (a relation that
 * is not there yet) stays unknown. Outside of any transaction, so that a failure ends nothing.
 */
#include <string.h>

#include "backend/postgres/pgstore.h"

#define AT_ONCE 64

/* One that is asked for: input < 0 is the target. */
struct question {
	size_t model;
	int64_t input;
};

static bool input_asks(const struct input *in)
{
	if (!in->filtered || !in->event_time)
		return false;
	bool failed = false;
	auto_free char *column = in->ephemeral ? NULL : plain_column(in->event_time, &failed);
	return !column;
}

bool describe_asks(const struct pg_model *m)
{
	if (!m->column)
		return true;
	for (size_t i = 0; i < m->model->n_inputs; i++)
		if (input_asks(&m->model->inputs[i]))
			return true;
	return false;
}

/* Where the CTE `name` of the compiled SQL ends, its ')' included; 0: there is none. */
static size_t cte_end(const char *sql, const char *name)
{
	size_t len = strlen(sql);
	int depth = 0;
	bool found = false;
	for (struct sql_token t = sql_lex(SQL_POSTGRES, sql, len, 0); t.kind != SQL_END;
	     t = sql_lex(SQL_POSTGRES, sql, len, t.start + t.len)) {
		if (t.kind == SQL_WORD && depth == 0 && t.len == strlen(name) &&
		    strncmp(sql + t.start, name, t.len) == 0)
			found = true;
		if (t.kind != SQL_PUNCT)
			continue;
		depth += sql[t.start] == '(';
		depth -= sql[t.start] == ')';
		if (found && depth == 0 && sql[t.start] == ')')
			return t.start + 1;
	}
	return 0;
}

static void write_question(const struct pg_model *m, int64_t input, struct strbuf *sql)
{
	if (input < 0) {
		strbuf_printf(sql, "select (%s) from %s", m->model->event_time, m->target);
		return;
	}
	const struct input *in = &m->model->inputs[input];
	if (in->ephemeral)
		strbuf_add(sql, m->model->compiled, cte_end(m->model->compiled, in->relation.rendered));
	strbuf_printf(sql, " select (%s) from %s", in->event_time, in->relation.rendered);
}

static void take_answer(const struct pg_model *m, struct pg_shape *shape, int64_t input, const PGresult *r)
{
	if (PQresultStatus(r) != PGRES_COMMAND_OK || PQnfields(r) != 1)
		return;
	enum time_type type = shape_type(PQftype(r, 0));
	const char *of = input < 0 ? m->target : m->model->inputs[input].relation.rendered;
	const char *what = input < 0 ? m->model->event_time : m->model->inputs[input].event_time;
	if (input < 0)
		shape->type = type;
	else
		shape->types[input] = type;
	if (type == TIME_UNSUPPORTED && !shape->why_not.err)
		error_set(&shape->why_not, EOPNOTSUPP,
			  "event_time %s of %s is of a type from which no batches can be cut: timestamptz, "
			  "timestamp and "
			  "date can",
			  what, of);
	if (type == TIME_DATE && m->model->batch_size == BATCH_HOUR && !shape->why_not.err)
		error_set(&shape->why_not, EOPNOTSUPP,
			  "event_time %s of %s is of type date, which has whole days only: no batch of an "
			  "hour can be cut "
			  "from it; use batch_size day, month or year",
			  what, of);
	if (input < 0 &&
	    (type == TIME_UNSUPPORTED || (type == TIME_DATE && m->model->batch_size == BATCH_HOUR)))
		shape->unfit = true;
}

static int ask(struct pg_conn *c, struct pg_model *const *models, struct pg_shape **shapes,
	       const struct question *questions, size_t n, int64_t deadline, struct error *err)
{
	if (n == 0)
		return 0;
	auto_pipe p = PG_PIPE(c, deadline);
	p.tolerant = true;
	for (size_t i = 0; i < n; i++) {
		auto_strbuf sql = STRBUF_INIT;
		write_question(models[questions[i].model], questions[i].input, &sql);
		p.broken |= strbuf_broken(&sql);
		pg_add_prepare(&p, "", sql.str);
		pg_add_describe(&p, "");
		pg_add_sync(&p);
	}
	int r = pg_run(&p, err);
	for (size_t i = 0; i < n && !r; i++) {
		size_t m = questions[i].model;
		take_answer(models[m], shapes[m], questions[i].input, p.results[2 * i + 1]);
	}
	return r;
}

int describe_types(struct store *s, struct pg_conn *c, struct pg_model *const *models, size_t n,
		   struct pg_shape **shapes, int64_t deadline, struct error *err)
{
	struct question questions[AT_ONCE];
	size_t asked = 0;
	int r = 0;
	for (size_t i = 0; i < n && !r; i++) {
		const struct model *m = models[i]->model;
		bool target = !models[i]->column && shapes[i]->oid;
		for (int64_t k = target ? -1 : 0; k < (int64_t)m->n_inputs && !r; k++) {
			if (k >= 0 && (!models[i]->sql || !input_asks(&m->inputs[k])))
				continue;
			questions[asked++] = (struct question){.model = i, .input = k};
			if (asked == AT_ONCE) {
				r = ask(c, models, shapes, questions, asked, deadline, err);
				asked = 0;
			}
		}
	}
	return r ? r : ask(c, models, shapes, questions, asked, deadline, err);
}

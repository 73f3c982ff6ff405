/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/shape.h"

#include <string.h>

#include "backend/sqlite/guard.h"
#include "backend/sqlite/target.h"
#include "backend/sqlite/time_value.h"

static int render(struct worker *w, int64_t at, struct strbuf *out, struct error *err)
{
	const struct edition *e = w->edition;
	const struct model *m = e->model;
	LOCKED(&w->store->lock);
	if (!e->sql || !e->input_types)
		return error_set(err, EOPNOTSUPP, "%s cannot run on this warehouse", m->dir);
	ordinal batch = calendar_ordinal(m->batch_size, at);
	return window_sql_render(e->sql, e->input_types, calendar_start(m->batch_size, batch),
				 calendar_start(m->batch_size, batch + 1), out, err);
}

static int read_names(sqlite3_stmt *stmt, struct query_shape *q, struct error *err)
{
	int n = sqlite3_column_count(stmt);
	q->names = calloc((size_t)n + 1, sizeof *q->names);
	q->types = calloc((size_t)n + 1, sizeof *q->types);
	for (int i = 0; q->names && q->types && i < n; i++) {
		const char *declared = sqlite3_column_decltype(stmt, i);
		q->names[i] = strdup(sqlite3_column_name(stmt, i));
		q->types[i] = strdup(declared ? declared : "");
		if (!q->names[i] || !q->types[i])
			return error_set(err, ENOMEM, "no memory");
	}
	return q->names && q->types ? 0 : error_set(err, ENOMEM, "no memory");
}

/* The type by its first value; TIME_UNKNOWN: the window yields none. */
static int sample(struct worker *w, const struct model *m, const char *query, enum time_type *type,
		  struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_stmt *stmt = NULL;
	auto_free char *column = bare_column(m->event_time);
	strbuf_puts(&sql, "SELECT t FROM (SELECT ");
	strbuf_puts(&sql, column ? "m." : m->event_time);
	if (column)
		db_identifier(&sql, column);
	strbuf_printf(&sql, " AS t FROM (\n%s\n) AS m) WHERE t IS NOT NULL LIMIT 1", query);
	int r = strbuf_broken(&sql) ? error_set(err, ENOMEM, "no memory")
				    : db_prepare(w->db, sql.str, &stmt, err);
	if (r == 0)
		r = db_step(stmt, err);
	*type = TIME_UNKNOWN;
	if (r <= 0)
		return r;
	*type = time_value_type(sqlite3_column_value(stmt, 0), NULL);
	if (*type == TIME_UNSUPPORTED)
		return error_set(
			err, EOPNOTSUPP,
			"the query of %s yields the %s '%.60s'; an event_time in SQLite is text "
			"'YYYY-MM-DD[ HH:MM:SS[.ffffff]]' in UTC, or whole seconds since 1970 as INTEGER",
			m->name, m->event_time, db_text(stmt, 0));
	return 0;
}

/* Of a query that yields no row to look at. */
static void guess(struct worker *w, struct query_shape *q)
{
	const struct model *m = w->edition->model;
	auto_free char *column = bare_column(m->event_time);
	for (size_t i = 0; column && q->names[i]; i++)
		if (strcasecmp(q->names[i], column) == 0 && *q->types[i])
			q->time = time_declared_type(q->types[i]);
	LOCKED(&w->store->lock);
	for (size_t i = 0; i < m->n_inputs && q->time == TIME_UNKNOWN; i++)
		q->time = w->edition->input_types[i];
	if (q->time == TIME_UNKNOWN)
		q->time = TIME_TEXT;
}

/* `run`: up to its first row with an event_time; else the types are guessed. */
static int look(struct worker *w, int64_t at, bool run, struct query_shape *out, struct error *err)
{
	const struct model *m = w->edition->model;
	auto_strbuf query = STRBUF_INIT, sql = STRBUF_INIT;
	auto_stmt *stmt = NULL;
	*out = (struct query_shape){.time = TIME_UNKNOWN};
	GUARDED(w, GUARD_QUERY);
	int r = render(w, at, &query, err);
	strbuf_printf(&sql, "SELECT * FROM (\n%s\n) AS m", query.str);
	if (r == 0 && (strbuf_broken(&query) || strbuf_broken(&sql)))
		r = error_set(err, ENOMEM, "no memory");
	if (r == 0)
		r = db_prepare(w->db, sql.str, &stmt, err);
	if (r == 0)
		r = read_names(stmt, out, err);
	if (r == 0 && run)
		r = sample(w, m, query.str, &out->time, err);
	if (r == 0 && out->time == TIME_UNKNOWN)
		guess(w, out);
	return guard_explain(w, r, err);
}

int query_check(struct worker *w, int64_t at, struct error *err)
{
	auto_strbuf query = STRBUF_INIT;
	auto_stmt *stmt = NULL;
	int r = render(w, at, &query, err);
	if (r == 0 && strbuf_broken(&query))
		r = error_set(err, ENOMEM, "no memory");
	GUARDED(w, GUARD_QUERY);
	if (r == 0)
		r = db_prepare(w->db, query.str, &stmt, err);
	if (r == 0 && (!sqlite3_stmt_readonly(stmt) || sqlite3_column_count(stmt) == 0))
		r = error_sql(err, EINVAL, "42601", "the compiled SQL of %s is no query",
			      w->edition->model->name);
	if (r == 0 && sqlite3_bind_parameter_count(stmt) > 0) {
		const char *name = sqlite3_bind_parameter_name(stmt, 1);
		r = error_sql(err, EINVAL, "42P02",
			      "the compiled SQL of %s holds the parameter %s, and nobody gives it a value",
			      w->edition->model->name, name ? name : "?");
	}
	return guard_explain(w, r, err);
}

int query_shape(struct worker *w, int64_t at, struct query_shape *out, struct error *err)
{
	return look(w, at, true, out, err);
}

void target_guess(struct store *s, sqlite3 *file, slot model)
{
	struct worker w = {.store = s, .db = file, .edition = warehouse_of(s)->targets[model].edition};
	struct query_shape shape;
	if (look(&w, clock_now_us(s->config.clock), false, &shape, NULL) == 0) {
		LOCKED(&s->lock);
		struct target *t = &warehouse_of(s)->targets[model];
		columns_free(t->columns);
		t->columns = steal(&shape.names);
		t->type = shape.time;
	}
	query_shape_fini(&shape);
}

void query_shape_fini(struct query_shape *q)
{
	columns_free(q->names);
	columns_free(q->types);
	*q = (struct query_shape){0};
}

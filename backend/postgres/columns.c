/* SPDX-License-Identifier: Apache-2.0 */
/*
 * on_schema_change, as dbt-postgres does it: what the query yields is compared with what the target has, and
 * the target is changed by one ALTER TABLE. Where dbt makes a column anew, copies it and drops the old one
 * with what depends on it, here its type is changed in its place, by the same assignment casts; a view that
 * depends on it is a reason to fail. A text column is never made a varchar.
 */
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

bool columns_may_change(const struct pg_model *m, const struct pg_shape *shape)
{
	return m->model->on_schema_change != SCHEMA_IGNORE || m->model->contract || shape->limited;
}

/* What the query yields, from the server's description of it. 1: it cannot be described; a build says why. */
static int describe(struct worker *w, const struct pg_model *m, const struct pg_shape *shape, PGresult **out,
		    struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	int64_t start =
		calendar_start(m->model->batch_size, calendar_ordinal(m->model->batch_size, m->model->begin));
	int r = window_sql_render(m->sql, shape->types, start, start, &sql, err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	p.tolerant = true;
	p.broken = strbuf_broken(&sql);
	pg_add(&p, "begin", NULL);
	header_add(&p, m->model);
	pg_add_prepare(&p, "", sql.str);
	size_t described = pg_add_describe(&p, "");
	pg_add(&p, "rollback", NULL);
	r = pg_run(&p, err);
	if (r)
		return r;
	if (PQresultStatus(p.results[described]) != PGRES_COMMAND_OK)
		return 1;
	*out = p.results[described];
	p.results[described] = NULL;
	return 0;
}

static int compare(struct worker *w, const struct pg_shape *shape, const PGresult *yielded, PGresult **out,
		   struct error *err)
{
	auto_columns columns; /* names, types, modifiers */
	pg_columns_init(&columns, 3);
	for (int i = 0; i < PQnfields(yielded); i++) {
		pg_array_text(&columns.column[0], PQfname(yielded, i));
		pg_array_int(&columns.column[1], PQftype(yielded, i));
		pg_array_int(&columns.column[2], PQfmod(yielded, i));
	}
	pg_columns_end(&columns);
	struct pg_params params = {0};
	pg_param_int(&params, shape->oid);
	pg_param_columns(&params, &columns, 0, 3);
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	p.broken = pg_columns_broken(&columns);
	size_t rows = pg_add(&p, SQL_COLUMNS_COMPARE, &params);
	int r = pg_run(&p, err);
	if (r)
		return r;
	*out = p.results[rows];
	p.results[rows] = NULL;
	return 0;
}

enum difference { ADDED, DROPPED, WIDENED, CHANGED, FILLED };

static enum difference difference_of(const PGresult *r, int row)
{
	static const char *const words[] = {"add", "drop", "widen", "change"};
	for (enum difference d = ADDED; d < FILLED; d++)
		if (strcmp(pg_text(r, row, 0), words[d]) == 0)
			return d;
	return FILLED;
}

/* What is done about each kind of difference. */
static bool acted_on(enum schema_change mode, enum difference d)
{
	switch (d) {
	case ADDED:
		return mode == SCHEMA_APPEND || mode == SCHEMA_SYNC;
	case DROPPED:
	case CHANGED:
		return mode == SCHEMA_SYNC;
	case WIDENED:
		return true;
	case FILLED:
		break;
	}
	return false;
}

static void write_action(const PGresult *r, int row, struct strbuf *out)
{
	const char *column = pg_text(r, row, 1), *type = pg_text(r, row, 2);
	switch (difference_of(r, row)) {
	case ADDED:
		strbuf_printf(out, "add column %s %s", column, type);
		break;
	case DROPPED:
		strbuf_printf(out, "drop column %s", column);
		break;
	case WIDENED:
	case CHANGED:
		strbuf_printf(out, "alter column %s type %s", column, type);
		break;
	case FILLED:
		break;
	}
}

/* A column that is changed is not widened before. */
static bool superseded(const PGresult *r, int row, enum schema_change mode)
{
	if (difference_of(r, row) != WIDENED || !acted_on(mode, CHANGED))
		return false;
	for (int i = row + 1; i < PQntuples(r); i++)
		if (difference_of(r, i) == CHANGED && strcmp(pg_text(r, i, 1), pg_text(r, row, 1)) == 0)
			return true;
	return false;
}

static void write_actions(const PGresult *r, enum schema_change mode, struct strbuf *out)
{
	for (int i = 0; i < PQntuples(r); i++) {
		if (!acted_on(mode, difference_of(r, i)) || superseded(r, i, mode))
			continue;
		strbuf_puts(out, out->len ? ", " : "");
		write_action(r, i, out);
	}
}

static int change_target(struct worker *w, const struct pg_model *m, const struct strbuf *actions,
			 struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	strbuf_printf(&sql, "alter table %s %s", m->target, actions->str);
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	p.broken = strbuf_broken(&sql);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	pg_add(&p, "set local lock_timeout = '1s'", NULL);
	pg_add(&p, sql.str, NULL);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (!r)
		log_info(w->store->config->log, "%s: %s", m->model->dir, sql.str);
	return r;
}

static int refuse(const struct pg_model *m, const PGresult *r, struct error *err)
{
	static const char *const words[] = {"new: ", "gone: ", "", "of another type: "};
	auto_strbuf all = STRBUF_INIT;
	for (int i = 0; i < PQntuples(r); i++) {
		enum difference d = difference_of(r, i);
		if (d != WIDENED && d != FILLED)
			strbuf_printf(&all, "%s%s%s", all.len ? ", " : "", words[d], pg_text(r, i, 1));
	}
	return error_set(
		err, EOPNOTSUPP,
		"the query of %s yields other columns than %s has (%s), and on_schema_change is fail: change the "
		"table or the query, or rebuild the table under another name",
		m->model->dir, m->target, all.str ? all.str : "");
}

static bool differs(const PGresult *r)
{
	for (int i = 0; i < PQntuples(r); i++)
		if (difference_of(r, i) != WIDENED && difference_of(r, i) != FILLED)
			return true;
	return false;
}

/* With any other on_schema_change than ignore dbt inserts what the query yields, and only that. */
static int fill_columns(const struct pg_model *m, struct pg_shape *shape, const PGresult *r,
			struct error *err)
{
	if (m->model->on_schema_change == SCHEMA_IGNORE)
		return 0;
	auto_strbuf columns = STRBUF_INIT;
	for (int i = 0; i < PQntuples(r); i++)
		if (difference_of(r, i) == FILLED)
			strbuf_printf(&columns, "%s%s", columns.len ? ", " : "", pg_text(r, i, 1));
	if (strbuf_broken(&columns) || !columns.str)
		return error_set(err, ENOMEM, "no memory for the columns of %s", m->target);
	free(shape->columns);
	shape->columns = strbuf_detach(&columns);
	return 0;
}

int columns_compare(struct worker *w, const struct pg_model *m, struct pg_shape *shape, bool change,
		    struct error *err)
{
	enum schema_change mode = m->model->on_schema_change;
	auto_result *yielded = NULL, *found = NULL;
	auto_strbuf actions = STRBUF_INIT;
	int r = describe(w, m, shape, &yielded, err);
	if (r == 1)
		return 0;
	if (!r && m->model->contract)
		r = contract_check(w, m, yielded, err);
	if (r || !shape->oid)
		return r;
	r = compare(w, shape, yielded, &found, err);
	if (!r && mode == SCHEMA_FAIL && differs(found))
		r = refuse(m, found, err);
	if (!r)
		r = fill_columns(m, shape, found, err);
	if (r)
		return r;
	write_actions(found, mode, &actions);
	if (actions.len == 0)
		return 0;
	if (change)
		r = change_target(w, m, &actions, err);
	return r ? r : 1;
}

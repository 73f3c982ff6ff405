/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An enforced contract: the table is made of the columns and constraints in the model's YAML, and the query
 * has to yield these columns with types of the same kind, whatever their order.
 */
#include <string.h>

#include "backend/postgres/pgstore.h"

/* The name as the server has it. NULL: no memory. */
char *column_name(const struct column_config *column)
{
	bool failed = false;
	char *name = column->quote ? strdup(column->name) : plain_column(column->name, &failed);
	return name || failed ? name : strdup(column->name);
}

static void put_name(struct strbuf *out, const struct column_config *column)
{
	if (column->quote)
		quote_name(out, column->name);
	else
		strbuf_puts(out, column->name);
}

void contract_write_table(const struct model *m, struct strbuf *sql)
{
	for (size_t i = 0; i < m->n_columns; i++) {
		const struct column_config *column = &m->columns[i];
		strbuf_puts(sql, i ? ", " : "(");
		put_name(sql, column);
		strbuf_printf(sql, " %s", column->type ? column->type : "");
		for (const char **c = column->constraints; *c; c++)
			strbuf_printf(sql, " %s", *c);
	}
	for (const char **c = m->constraints; *c; c++)
		strbuf_printf(sql, ", %s", *c);
	strbuf_putc(sql, ')');
}

/* Types that dbt-postgres does not tell apart, because psycopg2 has one word for them. */
static uint32_t kind_of_type(uint32_t oid)
{
	enum {
		INT8 = 20,
		INT2 = 21,
		INT4 = 23,
		TEXT = 25,
		FLOAT4 = 700,
		FLOAT8 = 701,
		BPCHAR = 1042,
		VARCHAR = 1043
	};
	switch (oid) {
	case INT2:
		return INT4;
	case FLOAT4:
		return FLOAT8;
	case BPCHAR:
	case VARCHAR:
		return TEXT;
	default:
		return oid;
	}
}

static int find(const PGresult *r, const char *name)
{
	for (int i = 0; i < PQnfields(r); i++)
		if (strcmp(PQfname(r, i), name) == 0)
			return i;
	return -1;
}

static void compare(const PGresult *said, const PGresult *yielded, struct strbuf *out)
{
	for (int i = 0; i < PQnfields(said); i++) {
		int at = find(yielded, PQfname(said, i));
		if (at < 0)
			strbuf_printf(out, "%smissing: %s", out->len ? ", " : "", PQfname(said, i));
		else if (kind_of_type(PQftype(said, i)) != kind_of_type(PQftype(yielded, at)))
			strbuf_printf(out, "%sof another type: %s", out->len ? ", " : "", PQfname(said, i));
	}
	for (int i = 0; i < PQnfields(yielded); i++)
		if (find(said, PQfname(yielded, i)) < 0)
			strbuf_printf(out, "%snot in the contract: %s", out->len ? ", " : "",
				      PQfname(yielded, i));
}

int contract_check(struct worker *w, const struct pg_model *m, const PGresult *yielded, struct error *err)
{
	const struct model *model = m->model;
	auto_strbuf sql = STRBUF_INIT, wrong = STRBUF_INIT;
	for (size_t i = 0; i < model->n_columns; i++) {
		const struct column_config *column = &model->columns[i];
		strbuf_printf(&sql, "%scast(null as %s) as ", i ? ", " : "select ",
			      column->type ? column->type : "text");
		put_name(&sql, column);
	}
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	p.broken = strbuf_broken(&sql) || !sql.str;
	if (p.broken)
		return error_set(err, ENOMEM, "no memory for the contract of %s", model->dir);
	pg_add_prepare(&p, "", sql.str);
	size_t said = pg_add_describe(&p, "");
	int r = pg_run(&p, err);
	if (r)
		return error_prefix(err, "the contract of %s: ", model->dir);
	compare(p.results[said], yielded, &wrong);
	if (!wrong.len)
		return 0;
	return error_set(
		err, EOPNOTSUPP,
		"the query of %s does not yield what its contract says (%s): change the query or the contract",
		model->dir, wrong.str ? wrong.str : "");
}

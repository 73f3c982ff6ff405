/* SPDX-License-Identifier: Apache-2.0 */
/* Grants and comments of a target, as the model's config has them. Where all is as it is to be nothing is
 * sent. */
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

static void add_target(struct pg_params *params, const struct pg_model *m, uint32_t oid)
{
	pg_param_int(params, oid);
	pg_param_text(params, m->target);
}

static size_t ask_grants(struct pg_pipe *p, const struct pg_model *m, uint32_t oid)
{
	struct pg_params params = {0};
	auto_columns wanted; /* privileges, roles */
	pg_columns_init(&wanted, 2);
	for (size_t i = 0; i < m->model->n_grants; i++)
		for (const char **role = m->model->grants[i].roles; *role; role++) {
			pg_array_text(&wanted.column[0], m->model->grants[i].privilege);
			pg_array_text(&wanted.column[1], *role);
		}
	pg_columns_end(&wanted);
	p->broken |= pg_columns_broken(&wanted);
	add_target(&params, m, oid);
	pg_param_columns(&params, &wanted, 0, 2);
	return pg_add(p, SQL_ATTRIBUTES_GRANTS, &params);
}

static size_t ask_comments(struct pg_pipe *p, const struct pg_model *m, uint32_t oid)
{
	struct pg_params params = {0};
	auto_columns wanted; /* names, descriptions */
	pg_columns_init(&wanted, 2);
	for (size_t i = 0; i < m->model->n_columns && m->model->column_docs; i++) {
		auto_free char *name = column_name(&m->model->columns[i]);
		p->broken |= !name;
		pg_array_text(&wanted.column[0], name);
		pg_array_text(&wanted.column[1], m->model->columns[i].description);
	}
	pg_columns_end(&wanted);
	p->broken |= pg_columns_broken(&wanted);
	add_target(&params, m, oid);
	pg_param_text(&params, m->model->comment);
	pg_param_columns(&params, &wanted, 0, 2);
	return pg_add(p, SQL_ATTRIBUTES_COMMENTS, &params);
}

static void add_statements(struct pg_pipe *p, const PGresult *r)
{
	for (int i = 0; i < PQntuples(r); i++)
		pg_add(p, pg_text(r, i, 0), NULL);
}

int attributes_apply(struct worker *w, const struct pg_model *m, uint32_t oid, struct error *err)
{
	size_t grants = 0, comments = 0;
	if (!m->model->n_grants && !m->model->comment && !m->model->column_docs)
		return 0;
	auto_pipe asked = PG_PIPE(&w->conn, pg_deadline(w->store));
	if (m->model->n_grants)
		grants = ask_grants(&asked, m, oid);
	comments = ask_comments(&asked, m, oid);
	int r = pg_run(&asked, err);
	if (r)
		return r;
	size_t n = (size_t)PQntuples(asked.results[comments]);
	if (m->model->n_grants)
		n += (size_t)PQntuples(asked.results[grants]);
	if (n == 0)
		return 0;
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	pg_add(&p, "set local lock_timeout = '1s'", NULL);
	if (m->model->n_grants)
		add_statements(&p, asked.results[grants]);
	add_statements(&p, asked.results[comments]);
	pg_add(&p, "commit", NULL);
	return pg_run(&p, err);
}

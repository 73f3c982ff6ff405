/* SPDX-License-Identifier: Apache-2.0 */
/* What was asked for with the SQL of a former manifest. */
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

int pg_recode(struct store *s, slot model, const char *was, const struct store_sink *sink, struct error *err)
{
	const struct pg_model *m = s->models[model];
	if (!s->schema || !m->id)
		return 0;
	auto_strbuf sessions = STRBUF_INIT;
	for (size_t i = 0; i < s->n_sessions; i++)
		pg_array_int(&sessions, s->sessions[i]);
	pg_array_end(&sessions);
	if (strbuf_broken(&sessions))
		return error_set(err, ENOMEM, "no memory for the requests of %s", m->model->dir);
	struct pg_params params = {0};
	pg_param_int(&params, m->id);
	pg_param_text(&params, was);
	pg_param_text(&params, m->model->code);
	pg_param_text(&params, sessions.str);
	pg_param_int(&params, s->session);
	pg_param_int(&params, s->owner);
	int r = store_connect(s, true, err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	store_begin(s, &p);
	size_t made = pg_add(&p, SQL_RECODE, &params);
	pg_add(&p, "commit", NULL);
	r = store_run(s, &p, err);
	if (r)
		return r;
	if (PQntuples(p.results[made]) > 0)
		store_changed(s);
	report_requests(s, p.results[made], sink);
	return 0;
}

int pg_others(struct store *s, bool *any, struct error *err)
{
	struct pg_params params = {0};
	pg_param_int(&params, s->owner);
	auto_result *found = NULL;
	*any = false;
	if (!s->schema)
		return 0;
	int r = store_connect(s, true, err);
	if (!r)
		r = store_query(s, SQL_OTHERS, &params, &found, err);
	if (!r)
		*any = PQntuples(found) == 1 && pg_bool(found, 0, 0);
	return r;
}

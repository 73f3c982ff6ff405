/* SPDX-License-Identifier: Apache-2.0 */
/* What was asked for with the SQL of a former manifest. */
#include "backend/postgres/offer.h"
#include "backend/postgres/sql.h"

int pg_recode(struct store *s, slot model, const char *was, const struct store_sink *sink, struct error *err)
{
	const struct pg_model *m = s->models[model];
	if (!s->schema || !m->id)
		return 0;
	auto_strbuf sessions = STRBUF_INIT;
	own_sessions(s, &sessions);
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/offer.h"

#include "backend/postgres/sql.h"

void offer_add(struct offer *o, const struct model *m)
{
	pg_array_text(&o->codes, m->code);
	pg_array_time(&o->begins, m->begin);
}

void offer_fini(struct offer *o)
{
	strbuf_fini(&o->codes);
	strbuf_fini(&o->begins);
}

int offer_make(struct store *s, struct offer *o, struct error *err)
{
	struct pg_params made = {0}, codes = {0};
	pg_array_end(&o->codes);
	pg_array_end(&o->begins);
	pg_param_int(&made, s->owner);
	pg_param_text(&made, o->codes.str);
	pg_param_text(&made, o->begins.str);
	pg_param_text(&codes, o->codes.str);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	p.broken = strbuf_broken(&o->codes) || strbuf_broken(&o->begins);
	store_begin(s, &p);
	pg_add(&p, SQL_OFFER, &made);
	pg_add(&p, SQL_OFFER_UNORPHAN, &codes);
	pg_add(&p, "commit", NULL);
	int r = store_run(s, &p, err);
	if (r)
		return r;
	free(s->codes);
	free(s->begins);
	s->codes = strbuf_detach(&o->codes);
	s->begins = strbuf_detach(&o->begins);
	return 0;
}

void own_sessions(const struct store *s, struct strbuf *out)
{
	for (size_t i = 0; i < s->n_sessions; i++)
		pg_array_int(out, s->sessions[i]);
	pg_array_end(out);
}

int pg_orphans(struct store *s, struct store_orphan *list, size_t n, struct error *err)
{
	auto_columns asked;
	auto_strbuf sessions = STRBUF_INIT;
	struct pg_params params = {0};
	pg_columns_init(&asked, 2);
	for (size_t i = 0; i < n; i++) {
		enum batch_size size = s->models[list[i].model]->model->batch_size;
		pg_array_int(&asked.column[0], list[i].request);
		pg_array_time(&asked.column[1], calendar_start(size, list[i].batch));
		/* Of what is not recorded any more nothing is said. */
		list[i].had = true;
	}
	pg_columns_end(&asked);
	own_sessions(s, &sessions);
	pg_param_columns(&params, &asked, 0, 2);
	pg_param_text(&params, sessions.str);
	int r = s->schema ? store_connect(s, true, err) : 0;
	if (r || !s->schema)
		return r;
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	p.broken = pg_columns_broken(&asked) || strbuf_broken(&sessions);
	store_begin(s, &p);
	size_t at = pg_add(&p, SQL_ORPHANS, &params);
	pg_add(&p, "commit", NULL);
	r = store_run(s, &p, err);
	for (int row = 0; !r && row < PQntuples(p.results[at]); row++) {
		int64_t i = pg_int(p.results[at], row, 0);
		if (i < 0 || (size_t)i >= n)
			continue;
		list[i].had = pg_bool(p.results[at], row, 1);
		list[i].own = pg_bool(p.results[at], row, 2);
		list[i].late = pg_bool(p.results[at], row, 3);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes that are not recorded with the rows, and requests that have nothing left to build. */
#include <string.h>

#include "backend/kinds.h"
#include "backend/postgres/answer.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

#define N_COLUMNS   13
#define MESSAGE_MAX 1100

static void add_outcome(const struct store *s, struct pg_columns *columns, size_t number,
			const struct store_outcome *o)
{
	const struct pg_model *m = s->models[o->model];
	auto_free char *message = clean_text(o->message, MESSAGE_MAX, s->plain);
	struct strbuf *a = columns->column;
	pg_array_int(&a[0], (int64_t)number);
	pg_array_int(&a[1], m->id);
	pg_array_time(&a[2], calendar_start(m->model->batch_size, o->batch));
	pg_array_int(&a[3], o->attempt);
	pg_array_text(&a[4], settle_traits(o->kind)->word);
	pg_array_time(&a[5], o->started);
	pg_array_time(&a[6], o->finished);
	pg_array_text(&a[7], o->sqlstate);
	pg_array_text(&a[8], message ? message : "");
	pg_array_text(&a[9], o->code ? o->code : m->model->code);
	pg_array_int(&a[10], o->rows_deleted);
	pg_array_int(&a[11], o->rows_inserted);
	pg_array_int(&a[12], o->rows_outside);
}

/* Of neighbours that were only queued: they become one row. */
static bool is_range(const struct store_outcome *o)
{
	return o->count > 1 && settle_traits(o->kind)->of_queued;
}

/* What a guest has built is there now. */
static void meet_built(const struct store *s, struct pg_pipe *p, const struct store_outcome *outcomes,
		       size_t n, struct strbuf *ids)
{
	struct pg_params params = {0};
	bool any = false;
	for (size_t i = 0; i < n; i++) {
		if (outcomes[i].kind != SETTLE_DONE)
			continue;
		pg_array_int(ids, pg_id(s->models[outcomes[i].model]));
		any = true;
	}
	pg_array_end(ids);
	p->broken |= strbuf_broken(ids);
	pg_param_text(&params, ids->str);
	if (any)
		pg_add(p, SQL_SETTLE_MET, &params);
}

static int run_settle(struct store *s, struct pg_columns *columns, struct answers *answers,
		      struct store_outcome *outcomes, size_t n, struct error *err)
{
	size_t ranges;
	struct pg_params params = {0};
	auto_strbuf met = STRBUF_INIT;
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_columns_end(columns);
	p.broken = pg_columns_broken(columns);
	pg_param_columns(&params, columns, 0, N_COLUMNS);
	pg_param_int(&params, s->session);
	store_begin(s, &p);
	size_t settled = pg_add(&p, SQL_SETTLE, &params);
	meet_built(s, &p, outcomes, n, &met);
	answers_send(s, answers, &p);
	ranges = p.n;
	for (size_t i = 0; i < n; i++)
		if (is_range(&outcomes[i]))
			range_add(s, &p, &outcomes[i]);
	pg_add(&p, "commit", NULL);
	int r = store_run(s, &p, err);
	for (int row = 0; !r && row < PQntuples(p.results[settled]); row++)
		outcomes[pg_int(p.results[settled], row, 0)].result = 0;
	if (!r)
		answers_take(answers, &p, outcomes);
	for (size_t i = 0; i < n && !r; i++)
		if (is_range(&outcomes[i]))
			range_take(s, p.results[ranges++], &outcomes[i]);
	return r;
}

static int settle_all(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err)
{
	auto_columns columns;
	auto_answers answers;
	answers_init(&answers);
	pg_columns_init(&columns, N_COLUMNS);
	for (size_t i = 0; i < n; i++) {
		outcomes[i].result = -ESTALE;
		if (is_range(&outcomes[i]))
			continue;
		if (settle_traits(outcomes[i].kind)->of_queued)
			answers_add(s, &answers, i, &outcomes[i]);
		else
			add_outcome(s, &columns, i, &outcomes[i]);
	}
	return run_settle(s, &columns, &answers, outcomes, n, err);
}

int pg_settle(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err)
{
	if (s->config->read_only || !s->schema)
		return error_set(err, EROFS, "this mount writes nothing to the warehouse");
	int r = store_connect(s, false, err);
	if (r || n == 0)
		return r;
	if (s->anew)
		return error_set(err, EAGAIN, "the states are read anew first");
	struct error why = {0};
	r = settle_all(s, outcomes, n, &why);
	/* A message may name a model whose name the database cannot hold. */
	if (r && strcmp(why.sqlstate, "22P05") == 0 && !s->plain) {
		s->plain = true;
		r = settle_all(s, outcomes, n, &why);
	}
	if (!r)
		store_changed(s);
	else if (err)
		*err = why;
	return r;
}

int settle_ids(struct store *s, const char *sql, const int64_t *ids, size_t n, struct error *err)
{
	if (s->config->read_only || !s->schema)
		return error_set(err, EROFS, "this mount writes nothing to the warehouse");
	int r = store_connect(s, false, err);
	/* In another life an id may be another's: what is still recorded is reported again. */
	if (r || n == 0 || s->anew)
		return r;
	auto_strbuf list = STRBUF_INIT;
	for (size_t i = 0; i < n; i++)
		pg_array_int(&list, ids[i]);
	pg_array_end(&list);
	struct pg_params params = {0};
	pg_param_text(&params, list.str);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	p.broken = strbuf_broken(&list);
	store_begin(s, &p);
	pg_add(&p, sql, &params);
	pg_add(&p, "commit", NULL);
	return store_run(s, &p, err);
}

int pg_retire(struct store *s, const int64_t *ids, size_t n, struct error *err)
{
	return settle_ids(s, SQL_RETIRE, ids, n, err);
}

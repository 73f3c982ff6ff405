/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that are answered without being built: skipped, taken out of the queue, ended on request. */
#include "backend/kinds.h"
#include "backend/postgres/answer.h"
#include "backend/postgres/offer.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

#define MESSAGE_MAX 1100

void answers_init(struct answers *a)
{
	*a = (struct answers){0};
	pg_columns_init(&a->columns, ANSWER_COLUMNS);
}

void answers_add(const struct store *s, struct answers *a, size_t number, const struct store_outcome *o)
{
	const struct pg_model *m = s->models[o->model];
	auto_free char *message = clean_text(o->message, MESSAGE_MAX, s->plain);
	struct strbuf *c = a->columns.column;
	pg_array_int(&c[0], (int64_t)number);
	pg_array_int(&c[1], m->id);
	pg_array_time(&c[2], calendar_start(m->model->batch_size, o->batch));
	pg_array_int(&c[3], o->attempt);
	pg_array_int(&c[4], settle_traits(o->kind)->shows);
	pg_array_time(&c[5], o->started);
	pg_array_time(&c[6], o->finished);
	pg_array_text(&c[7], message ? message : "");
	pg_array_int(&c[8], o->wanted);
	pg_array_int(&c[9], o->request);
	pg_array_int(&c[10], o->before);
	a->n++;
}

void answers_send(const struct store *s, struct answers *a, struct pg_pipe *p)
{
	if (a->n == 0)
		return;
	pg_columns_end(&a->columns);
	p->broken |= pg_columns_broken(&a->columns);
	pg_param_columns(&a->answer, &a->columns, 0, ANSWER_COLUMNS);
	pg_param_columns(&a->rows, &a->columns, 1, 3);
	pg_param_int(&a->answer, s->session);
	pg_add(p, SQL_ANSWER_UNFOLD, &a->rows);
	pg_add(p, SQL_ANSWER_MAKE_ROWS, &a->rows);
	a->at = pg_add(p, SQL_ANSWER, &a->answer);
}

void answers_take(const struct answers *a, const struct pg_pipe *p, struct store_outcome *outcomes)
{
	for (int row = 0; a->n && row < PQntuples(p->results[a->at]); row++) {
		struct store_outcome *o = &outcomes[pg_int(p->results[a->at], row, 0)];
		o->result = 0;
		o->attempt = (uint32_t)pg_int(p->results[a->at], row, 1);
	}
}

void answers_fini(struct answers *a)
{
	pg_columns_fini(&a->columns);
}

size_t range_add(const struct store *s, struct pg_pipe *p, const struct store_outcome *o)
{
	static const char *const steps[] = {[BATCH_HOUR] = "1 hour",
					    [BATCH_DAY] = "1 day",
					    [BATCH_MONTH] = "1 month",
					    [BATCH_YEAR] = "1 year"};
	const struct pg_model *m = s->models[o->model];
	enum batch_size size = m->model->batch_size;
	auto_free char *message = clean_text(o->message, MESSAGE_MAX, s->plain);
	auto_strbuf ours = STRBUF_INIT;
	struct pg_params v = {0};
	pg_param_int(&v, m->id);
	pg_param_time(&v, calendar_start(size, o->batch));
	pg_param_time(&v, calendar_start(size, o->batch + o->count));
	pg_param_int(&v, o->lowest);
	pg_param_int(&v, o->wanted > o->before ? o->wanted : o->before);
	pg_param_int(&v, settle_traits(o->kind)->shows);
	pg_param_time(&v, o->finished);
	pg_param_int(&v, o->request);
	pg_param_text(&v, message ? message : "");
	pg_param_int(&v, s->session);
	pg_param_int(&v, o->last);
	pg_param_text(&v, steps[size]);
	/* A cancel that is recorded has spared them already. */
	pg_param_int(&v, o->before ? INT64_MAX : o->known);
	own_sessions(s, &ours);
	p->broken |= strbuf_broken(&ours);
	pg_param_text(&v, ours.str);
	return pg_add(p, SQL_ANSWER_RANGE, &v);
}

/* Past what another has taken from `end` on. */
static ordinal past_taken(enum batch_size size, const PGresult *r, ordinal end)
{
	for (int row = 0; row < PQntuples(r) && !pg_null(r, row, 2); row++) {
		ordinal first = calendar_ordinal(size, pg_time(r, row, 2));
		ordinal taken = pg_null(r, row, 3) ? first + 1 : calendar_ceil(size, pg_time(r, row, 3));
		if (first > end)
			break;
		end = taken > end ? taken : end;
	}
	return end;
}

void range_take(const struct store *s, const PGresult *r, struct store_outcome *o)
{
	enum batch_size size = s->models[o->model]->model->batch_size;
	ordinal end = o->batch + o->count, recorded = calendar_ordinal(size, pg_time(r, 0, 1));
	o->id = pg_int(r, 0, 0);
	o->next = past_taken(size, r, recorded);
	if (o->next > end)
		o->next = end;
	o->count = recorded - o->batch;
	o->result = o->count ? 0 : -ESTALE;
}

int pg_forget_answers(struct store *s, const int64_t *ids, size_t n, struct error *err)
{
	return settle_ids(s, SQL_ANSWERS_FORGET, ids, n, err);
}

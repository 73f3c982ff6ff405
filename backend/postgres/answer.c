/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that are answered without being built: skipped, taken out of the queue, ended on request. */
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

#define MESSAGE_MAX 1100

void answers_init(struct answers *a)
{
	*a = (struct answers){0};
	for (int i = 0; i < ANSWER_COLUMNS; i++)
		a->columns[i] = (struct strbuf)STRBUF_INIT;
}

void answers_add(const struct store *s, struct answers *a, size_t number, const struct store_outcome *o)
{
	const struct pg_model *m = &s->models[o->model];
	auto_free char *message = clean_text(o->message, MESSAGE_MAX, s->plain);
	struct strbuf *c = a->columns;
	pg_array_int(&c[0], (int64_t)number);
	pg_array_int(&c[1], m->id);
	pg_array_time(&c[2], calendar_start(m->model->batch_size, o->batch));
	pg_array_int(&c[3], o->attempt);
	pg_array_text(&c[4], o->kind == SETTLE_SKIPPED ? "t" : "f");
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
	for (int i = 0; i < ANSWER_COLUMNS; i++) {
		pg_array_end(&a->columns[i]);
		p->broken |= strbuf_broken(&a->columns[i]);
		pg_param_text(&a->answer, a->columns[i].str);
	}
	for (int i = 1; i <= 3; i++)
		pg_param_text(&a->rows, a->columns[i].str);
	pg_param_int(&a->answer, s->session);
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
	for (int i = 0; i < ANSWER_COLUMNS; i++)
		strbuf_fini(&a->columns[i]);
}

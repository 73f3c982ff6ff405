/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validations that were asked for, as rows: other mounts hear of them, and what was asked for on a mount that
 * has died is carried out by another one.
 */
#include "backend/postgres/validations.h"

#include <string.h>

#include "backend/postgres/sql.h"

static const char *const words[] = {[VALIDATION_ASKED] = "asked",
				    [VALIDATION_DONE] = "done",
				    [VALIDATION_CANCELLED] = "cancelled",
				    [VALIDATION_FAILED] = "failed"};
#define WORDS (sizeof words / sizeof *words)

static bool read_row(struct store *s, const PGresult *r, int row, struct store_validation *out)
{
	struct id_index m = store_slot(s, pg_int(r, row, 1));
	size_t state = 0;
	while (state < WORDS && strcmp(words[state], pg_text(r, row, 4)) != 0)
		state++;
	if (!m.id || state == WORDS)
		return false;
	*out = (struct store_validation){
		.id = pg_int(r, row, 0),
		.model = m.index,
		.batches = VALIDATION_WHOLE,
		.state = (enum validation_state)state,
		.asked_at = pg_time(r, row, 5),
		.mine = state == VALIDATION_ASKED && pg_int(r, row, 6) == s->owner,
		.at = pg_time(r, row, 7),
		.batches_looked = pg_int(r, row, 10),
		.pending = pg_int(r, row, 11),
		.found = pg_int(r, row, 12),
		.findings = pg_text(r, row, 13),
		.message = pg_text(r, row, 14),
	};
	if (!pg_null(r, row, 2))
		out->batches = calendar_touched(m.size, pg_time(r, row, 2), pg_time(r, row, 3));
	if (!pg_null(r, row, 8))
		out->looked = (struct ordinal_range){calendar_ordinal(m.size, pg_time(r, row, 8)),
						     calendar_ceil(m.size, pg_time(r, row, 9))};
	return true;
}

void report_validations(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	for (int row = 0; sink->validation && row < PQntuples(r); row++) {
		struct store_validation v;
		if (read_row(s, r, row, &v))
			sink->validation(sink->ctx, &v);
	}
}

int validations_take_over(struct store *s, const struct store_sink *sink, struct error *err)
{
	struct pg_params params = {0};
	auto_strbuf ids = STRBUF_INIT;
	auto_result *taken = NULL;
	if (!ids_of_all(s, &ids))
		return 0;
	if (strbuf_broken(&ids))
		return error_set(err, ENOMEM, "no memory to look for validations");
	pg_param_int(&params, s->owner);
	pg_param_int(&params, s->session);
	pg_param_text(&params, ids.str);
	int r = store_query(s, SQL_VALIDATION_TAKE_OVER, &params, &taken, err);
	if (!r)
		report_validations(s, taken, sink);
	return r;
}

static void put_ask(struct worker *w, struct pg_pipe *p, const struct store_validation *v)
{
	auto_model struct pg_model *m = model_get(w->store, v->model);
	enum batch_size size = m->model->batch_size;
	struct pg_params params = {0};
	pg_param_int(&params, pg_id(m));
	if (validation_is_whole(v)) {
		pg_param_text(&params, NULL);
		pg_param_text(&params, NULL);
	} else {
		pg_param_time(&params, calendar_start(size, v->batches.first));
		pg_param_time(&params, calendar_start(size, v->batches.end));
	}
	pg_param_time(&params, v->asked_at);
	pg_param_int(&params, w->store->owner);
	pg_add(p, SQL_VALIDATION_ASK, &params);
}

static void put_end(struct worker *w, struct pg_pipe *p, const struct store_validation *v)
{
	auto_model struct pg_model *m = model_get(w->store, v->model);
	enum batch_size size = m->model->batch_size;
	struct pg_params params = {0};
	pg_param_int(&params, v->id);
	pg_param_text(&params, words[v->state]);
	pg_param_time(&params, v->at);
	pg_param_time(&params, calendar_start(size, v->looked.first));
	pg_param_time(&params, calendar_start(size, v->looked.end));
	pg_param_int(&params, v->batches_looked);
	pg_param_int(&params, v->pending);
	pg_param_int(&params, v->found);
	pg_param_text(&params, v->findings);
	pg_param_text(&params, v->message);
	pg_param_int(&params, w->store->owner);
	pg_add(p, SQL_VALIDATION_END, &params);
}

/* Behind the commit, and alone: nobody waits for that, and a failure is no matter. */
static void prune(struct worker *w, slot model)
{
	auto_model struct pg_model *m = model_get(w->store, model);
	struct pg_params params = {0};
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	pg_param_int(&params, pg_id(m));
	pg_param_time(&params, clock_now_us(w->store->config->clock) - FEED_AGE_US);
	pg_param_int(&params, VALIDATIONS_KEPT);
	store_begin(w->store, &p);
	pg_add(&p, SQL_VALIDATION_PRUNE, &params);
	pg_add(&p, "commit", NULL);
	store_run(w->store, &p, NULL);
}

int pg_keep_validations(struct worker *w, struct store_validation *list, size_t n, struct error *err)
{
	int r = pg_connect(&w->conn, pg_deadline(w->store), err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	store_begin(w->store, &p);
	size_t first = p.n;
	for (size_t i = 0; i < n; i++) {
		if (list[i].state == VALIDATION_ASKED)
			put_ask(w, &p, &list[i]);
		else
			put_end(w, &p, &list[i]);
	}
	pg_add(&p, "commit", NULL);
	r = store_run(w->store, &p, err);
	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		const PGresult *done = p.results[first + i];
		if (list[i].state == VALIDATION_ASKED)
			list[i].id = pg_int(done, 0, 0);
		else if (PQntuples(done) == 0)
			list[i].state = VALIDATION_CANCELLED;
	}
	store_changed(w->store);
	/* The control thread is waiting for news, and gives notice of these to the others. */
	for (size_t i = 0; i < n; i++)
		if (list[i].state == VALIDATION_DONE)
			prune(w, list[i].model);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Full refreshes: how they are asked for, how they go from phase to phase, how they are read. Each step is
 * one statement that finds the row in the phase that it leaves, so that of several mounts one takes it.
 */
#include <string.h>

#include "backend/freeze.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/refresh.h"
#include "backend/postgres/sql.h"

/* What stands and falls with q: the requests of the same touch, whose uuids begin alike. */
static bool is_of_touch(const struct store_request *q, const struct store_request *other)
{
	return other->kind == REQUEST_FULL && memcmp(q->uuid, other->uuid, sizeof q->uuid / 2) == 0;
}

int refresh_add(struct store *s, struct pg_pipe *p, const struct store_request *q, const char *uuid,
		const char *command, const char *reason, const struct store_request *all, size_t n,
		struct error *err)
{
	const struct model *m = s->models[q->model]->model;
	struct pg_params v = {0};
	auto_columns c;
	pg_columns_init(&c, 3);
	for (size_t i = 0; i < n; i++) {
		const struct pg_model *of = s->models[all[i].model];
		if (!of->id || !is_of_touch(q, &all[i]))
			continue;
		pg_array_int(&c.column[0], of->id);
		pg_array_time(&c.column[1], calendar_start(of->model->batch_size, all[i].batches.first));
		pg_array_time(&c.column[2], calendar_start(of->model->batch_size, all[i].batches.end));
	}
	pg_columns_end(&c);
	if (pg_columns_broken(&c))
		return error_set(err, ENOMEM, "no memory for a full refresh");
	pg_param_text(&v, uuid);
	pg_param_int(&v, s->models[q->model]->id);
	pg_param_time(&v, calendar_start(m->batch_size, q->batches.first));
	pg_param_time(&v, calendar_start(m->batch_size, q->batches.end));
	pg_param_int(&v, q->uid);
	pg_param_text(&v, command);
	pg_param_text(&v, reason);
	pg_param_text(&v, m->code);
	pg_param_time(&v, q->at);
	pg_param_int(&v, s->session);
	pg_param_columns(&v, &c, 0, 3);
	pg_param_text(&v, refresh_phase_word(m->atomic_refresh ? REFRESH_BESIDE : REFRESH_CLEAR));
	pg_param_text(&v, m->relation.schema);
	pg_param_text(&v, m->relation.identifier);
	pg_add(p, SQL_REFRESH_RECORD, &v);
	return 0;
}

enum refused { REFUSED_PROTECTED = 1, REFUSED_FROZEN, REFUSED_BUSY };

static int refused(struct store *s, const struct store_request *q, const PGresult *r, struct error *err)
{
	struct id_index of = store_slot(s, pg_int(r, 0, 3));
	const struct model *m = s->models[of.id ? of.index : q->model]->model;
	struct store_freeze f = {
		.uid = (uint32_t)pg_int(r, 0, 5), .command = pg_text(r, 0, 6), .at = pg_time(r, 0, 7)};
	char because[FREEZE_WHY_MAX];
	switch ((enum refused)pg_int(r, 0, 2)) {
	case REFUSED_PROTECTED:
		freeze_why_protected(f.uid, f.command, f.at, because);
		return refresh_protected(err, m, because);
	case REFUSED_FROZEN:
		return refresh_frozen(err, m, &f, calendar_ordinal(m->batch_size, pg_time(r, 0, 4)));
	case REFUSED_BUSY:
		break;
	}
	return refresh_busy(err, m, &f);
}

void refresh_recorded(struct store *s, struct store_request *q, const PGresult *r)
{
	if (PQntuples(r) != 1) {
		q->result = error_set(&q->err, EIO, "%s is gone from the schema batchfs",
				      s->models[q->model]->model->dir);
	} else if (!pg_null(r, 0, 2)) {
		q->result = refused(s, q, r, &q->err);
	} else {
		q->id = pg_int(r, 0, 0);
		q->seq = pg_int(r, 0, 1);
		q->phase = refresh_phase_of(pg_text(r, 0, 8));
		q->result = 0;
	}
}

void report_refreshes(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	for (int row = 0; row < PQntuples(r); row++) {
		struct id_index m = store_slot(s, pg_int(r, row, 0));
		struct store_refresh f = {
			.model = m.index,
			.id = pg_int(r, row, 1),
			.phase = refresh_phase_of(pg_text(r, row, 2)),
			.batches = {calendar_ordinal(m.size, pg_time(r, row, 3)),
				    calendar_ceil(m.size, pg_time(r, row, 4))},
			.since = pg_time(r, row, 5),
			.build_at = pg_time(r, row, 6),
			.uid = (uint32_t)pg_int(r, row, 7),
			.command = pg_text(r, row, 8),
			.reason = pg_null(r, row, 9) ? NULL : pg_text(r, row, 9),
			.rows_outside = pg_int(r, row, 10),
			.rows_without_event_time = pg_int(r, row, 11),
			.result = refresh_result_of(pg_text(r, row, 12)),
			.finished_at = pg_time(r, row, 13),
			.error = pg_text(r, row, 14),
			.done = pg_int(r, row, 15),
			.failed = pg_int(r, row, 16),
			.beside = pg_bool(r, row, 17),
		};
		if (m.id)
			sink->refresh(sink->ctx, &f);
	}
}

int refreshes_load(struct store *s, const struct pg_params *models, const struct store_sink *sink,
		   struct error *err)
{
	auto_result *found = NULL;
	int r = pg_query(&s->control, pg_deadline(s), SQL_REFRESH_OF, models, &found, err);
	if (!r)
		report_refreshes(s, found, sink);
	return r;
}

#define ERROR_MAX 1100

/* The batch that has ended it; four parameters, null: none has. */
static void put_failure(const struct store *s, struct pg_params *v, const struct refresh_step *step,
			const char *why)
{
	const struct refresh_failure *f = step->failure;
	if (f) {
		pg_param_time(v, calendar_start(s->models[step->model]->model->batch_size, f->batch));
		pg_param_time(v, f->started);
		pg_param_time(v, f->finished);
		pg_param_text(v, f->why.sqlstate);
		pg_param_text(v, why);
	}
	for (int i = 0; i < 5 && !f; i++)
		pg_param_text(v, NULL);
}

/* error, why: the step's, and its failure's, as the server's encoding can have them. */
static int add_step(struct store *s, struct pg_pipe *p, const struct refresh_step *step, const char *error,
		    const char *why, size_t *taken)
{
	int id = s->models[step->model]->id;
	const char *to = refresh_phase_word(step->to);
	auto_strbuf ids = STRBUF_INIT;
	struct pg_params lock = {0}, v = {0};
	pg_array_int(&ids, id);
	pg_array_end(&ids);
	pg_param_text(&lock, ids.str);
	pg_param_int(&v, id);
	pg_param_int(&v, step->id);
	pg_param_text(&v, refresh_phase_word(step->from));
	pg_param_text(&v, to ? to : "");
	pg_param_time(&v, step->at);
	pg_param_text(&v, refresh_result_word(step->result));
	pg_param_text(&v, error);
	pg_param_int(&v, s->session);
	put_failure(s, &v, step, why);
	store_begin(s, p);
	planned_add(s, p, PLANNED_LOCK_MODELS, &lock);
	*taken = pg_add(p, SQL_REFRESH_ADVANCE, &v);
	p->broken |= strbuf_broken(&ids);
	return id;
}

int pg_refresh(struct store *s, struct refresh_step *step, const struct store_sink *sink, struct error *err)
{
	const struct pg_model *m = s->models[step->model];
	auto_free char *error = clean_text(step->error ? step->error : "", ERROR_MAX, s->plain);
	auto_free char *why = clean_text(step->failure ? step->failure->why.text : "", ERROR_MAX, s->plain);
	step->taken = -ESTALE;
	if (!s->schema || !m->id)
		return 0;
	if (!error || !why)
		return error_set(err, ENOMEM, "no memory for a full refresh");
	int r = store_connect(s, true, err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	auto_strbuf ids = STRBUF_INIT;
	struct pg_params of = {0}, request = {0};
	size_t taken;
	pg_array_int(&ids, add_step(s, &p, step, error, why, &taken));
	pg_array_end(&ids);
	p.broken |= strbuf_broken(&ids);
	pg_param_text(&of, ids.str);
	pg_param_int(&request, step->id);
	size_t asked = pg_add(&p, SQL_REFRESH_REQUEST, &request);
	size_t found = pg_add(&p, SQL_REFRESH_OF, &of);
	pg_add(&p, "commit", NULL);
	r = store_run(s, &p, err);
	if (r)
		return r;
	step->taken = PQntuples(p.results[taken]) > 0 ? 0 : -ESTALE;
	if (!step->taken)
		store_changed(s);
	report_requests(s, p.results[asked], sink);
	report_refreshes(s, p.results[found], sink);
	return 0;
}

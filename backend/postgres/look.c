/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a target, and how what was found is told. */
#include <string.h>

#include "backend/postgres/batch.h"
#include "backend/postgres/look.h"
#include "backend/postgres/sql.h"

void pg_told_add(struct pg_pipe *p, const struct pg_model *m, int64_t origin, const char *outcome, int64_t at,
		 const struct found_batch *found, size_t n)
{
	enum batch_size size = m->model->batch_size;
	auto_columns c;
	struct pg_params params = {0};
	pg_columns_init(&c, 3);
	for (size_t i = 0; i < n; i++) {
		if (!i || found[i].batch != found[i - 1].batch + 1 ||
		    found[i].attempt != found[i - 1].attempt) {
			pg_array_time(&c.column[0], calendar_start(size, found[i].batch));
			pg_array_int(&c.column[2], found[i].attempt);
		}
		if (i + 1 == n || found[i + 1].batch != found[i].batch + 1 ||
		    found[i + 1].attempt != found[i].attempt)
			pg_array_time(&c.column[1], calendar_start(size, found[i].batch));
	}
	pg_columns_end(&c);
	p->broken |= pg_columns_broken(&c);
	pg_param_int(&params, pg_id(m));
	pg_param_int(&params, origin);
	pg_param_text(&params, outcome);
	pg_param_time(&params, at);
	pg_param_columns(&params, &c, 0, 3);
	if (n)
		pg_add(p, SQL_LOOK_TOLD, &params);
}

int pg_explain(struct worker *w, const struct pg_model *m, const struct pg_shape *shape, int r,
	       struct error *err)
{
	struct error why = {0};
	if (r && pg_cancel_asked(&w->cancel))
		return error_set(err, ECANCELED, "interrupted while %s was read", m->target);
	if (r != -EIO || !w->conn.pq)
		return r;
	if (passing_state(err->sqlstate) && strcmp(err->sqlstate, "57014") != 0)
		return -EBUSY;
	if (strcmp(err->sqlstate, "42501") == 0 && shape && shape->oid &&
	    check_rights(&w->conn, m, shape->oid, pg_deadline(w->store), &why) == -EACCES) {
		*err = why;
		return -EACCES;
	}
	return r;
}

/* told: where nothing is recorded: of what was told last; nothing is told where it is the same. Else NULL. */
static int look_first(struct worker *w, struct pg_model *m, struct pg_shape *shape, uint64_t *told,
		      const struct store_sink *sink, struct error *err)
{
	struct store *s = w->store;
	const struct windows_query q = {
		.model = m, .shape = shape, .batches = pg_windows_of(s, m), .before = "", .after = ""};
	auto_result *windows = NULL;
	int r = shape->oid ? pg_windows_find(w, &q, &windows, err) : 0;
	uint64_t print = r ? 0 : pg_print(windows);
	if (!r && told && print == *told)
		return 0;
	if (!r)
		r = pg_adopt(w, m, shape, windows, sink, err);
	if (r)
		return r;
	if (told)
		*told = print;
	store_changed(s);
	shape_keep(s, m, shape);
	LOCKED(&s->lock);
	m->accepted = shape->oid;
	return 0;
}

static uint32_t accepted(struct store *s, const struct pg_model *m)
{
	LOCKED(&s->lock);
	return m->accepted;
}

static int look_again(struct worker *w, struct pg_model *m, struct pg_shape *shape, enum look_kind kind,
		      const struct store_sink *sink, struct error *err)
{
	struct store *s = w->store;
	struct pg_writes *last = pg_writes_of(w, m->index), now = {0};
	bool written = true;
	if (!shape->oid || shape->oid != accepted(s, m))
		return error_set(err, EAGAIN, "%s is not the table that was known", m->target);
	if (!last)
		return error_set(err, ENOMEM, "no memory to look at %s", m->target);
	if (kind == LOOK_CLOCK && !pg_windows_skip(m, shape))
		return 0;
	/* Nothing is recorded: what is seen is only told. */
	if (!s->schema)
		return look_first(w, m, shape, &last->told, sink, err);
	int r = pg_writes_read(w, m, shape->oid, last, &now, &written, err);
	if (!r && (kind == LOOK_ASKED || written)) {
		r = pg_compare(w, m, shape, &last->told, sink, err);
		if (!r)
			pg_writes_seen(last, &now);
	}
	if (!r)
		shape_keep(s, m, shape);
	return r;
}

int pg_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
	    struct error *err)
{
	struct store *s = w->store;
	auto_model struct pg_model *m = model_get(s, model);
	struct pg_shape *shape = NULL;
	struct error own = {0};
	if (!err)
		err = &own;
	pg_cancel_forget(&w->cancel);
	pg_cancel_arm(&w->cancel, true);
	if (kind == LOOK_FIRST)
		model_busy(m, true);
	int r = batch_meet(w, m, &shape, err);
	if (!r && shape->unfit)
		r = error_set(err, EOPNOTSUPP, "%s", shape->why_not.text);
	if (!r)
		r = kind == LOOK_FIRST ? look_first(w, m, shape, NULL, sink, err)
				       : look_again(w, m, shape, kind, sink, err);
	pg_cancel_arm(&w->cancel, false);
	if (kind == LOOK_FIRST)
		model_busy(m, false);
	r = pg_explain(w, m, shape, r, err);
	shape_put(s, shape);
	return r;
}

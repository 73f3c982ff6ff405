/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest's look has found in a table of another warehouse, recorded as a look at a table of this one
 * is: its windows come from a list.
 */
#include "backend/postgres/record.h"

#include "backend/postgres/batch.h"
#include "backend/postgres/look.h"
#include "backend/postgres/sql.h"

static int list_windows(const struct pg_model *m, const struct found_windows *found, struct strbuf *out,
			struct error *err)
{
	for (size_t i = 0; i < found->n; i++)
		pg_array_time(out, calendar_start(m->model->batch_size, found->batches[i]));
	pg_array_end(out);
	return strbuf_broken(out) ? error_set(err, ENOMEM, "no memory for the batches of %s", m->target) : 0;
}

static int first(struct worker *w, struct pg_model *m, const struct pg_shape *shape,
		 const struct strbuf *list, const struct store_sink *sink, struct error *err)
{
	struct pg_params params = {0};
	auto_result *windows = NULL;
	pg_param_text(&params, list->str);
	int r = pg_query(&w->conn, pg_deadline(w->store), SQL_RECORD_WINDOWS, &params, &windows, err);
	if (!r)
		r = pg_adopt(w, m, shape, windows, sink, err);
	if (!r)
		store_changed(w->store);
	return r;
}

/* Where the table is not there any more all that was built goes, as when another table stands in its place.
 */
static int gone(struct worker *w, const struct pg_model *m, const struct found_windows *found,
		struct error *err)
{
	struct pg_params params = {0};
	auto_result *what = NULL;
	if (w->store->config->read_only)
		return 0;
	pg_param_int(&params, pg_id(m));
	pg_param_int(&params, found->began);
	int r = pg_query(&w->conn, pg_deadline(w->store), SQL_RECORD_GONE, &params, &what, err);
	if (!r && pg_bool(what, 0, 0))
		r = error_set(err, EAGAIN, "%s is not there any more", m->target);
	else if (!r && pg_bool(what, 0, 1))
		r = error_set(err, EBUSY, "%s was not there, and a batch of it has been built since",
			      m->target);
	return r;
}

static int again(struct worker *w, struct pg_model *m, const struct found_windows *found,
		 const struct strbuf *list, const struct store_sink *sink, struct error *err)
{
	struct store *s = w->store;
	struct pg_params params = {0};
	auto_result *differ = NULL;
	enum batch_size size = m->model->batch_size;
	struct ordinal_range batches = pg_windows_of(s, m);
	struct pg_writes *last = pg_writes_of(w, m->index);
	if (!last)
		return error_set(err, ENOMEM, "no memory to look at %s", m->target);
	pg_param_int(&params, pg_id(m));
	pg_param_time(&params, calendar_start(size, batches.first));
	pg_param_time(&params, calendar_start(size, batches.end));
	pg_param_text(&params, list->str);
	pg_param_int(&params, found->began);
	int r = pg_query(&w->conn, pg_deadline(s), SQL_RECORD_COMPARE, &params, &differ, err);
	return r ? r : pg_record_differences(w, m, differ, &last->told, sink, err);
}

int pg_record(struct worker *w, slot model, enum look_kind kind, const struct found_windows *found,
	      const struct store_sink *sink, struct error *err)
{
	auto_model struct pg_model *m = model_get(w->store, model);
	struct pg_shape *shape = NULL;
	struct error own = {0};
	auto_strbuf list = STRBUF_INIT;
	err = err ? err : &own;
	pg_cancel_forget(&w->cancel);
	pg_cancel_arm(&w->cancel, true);
	int r = list_windows(m, found, &list, err);
	if (!r)
		r = batch_meet(w, m, &shape, err);
	if (!r && (kind == LOOK_FIRST || !w->store->schema))
		r = first(w, m, shape, &list, sink, err);
	else if (!r)
		r = found->there ? again(w, m, found, &list, sink, err) : gone(w, m, found, err);
	pg_cancel_arm(&w->cancel, false);
	shape_put(w->store, shape);
	return pg_explain(w, m, NULL, r, err);
}

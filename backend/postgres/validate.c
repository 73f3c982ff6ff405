/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A validation (builder.validate): one snapshot, in which what is recorded and what the tables hold belong
 * together, whatever is built meanwhile. It reads, so that nobody who writes waits for it.
 */
#include <string.h>

#include "backend/postgres/batch.h"
#include "backend/postgres/look.h"
#include "backend/postgres/sql.h"
#include "backend/postgres/validations.h"

struct validating {
	struct worker *w;
	struct pg_model *m;
	const struct pg_shape *shape;
	struct tally *t;
};

static int ask(const struct validating *v, const struct strbuf *sql, PGresult **out, struct error *err)
{
	if (strbuf_broken(sql))
		return error_set(err, ENOMEM, "no memory to validate %s", v->m->target);
	return pg_query(&v->w->conn, PG_NO_DEADLINE, sql->str, NULL, out, err);
}

/* ` from RELATION where ...`, or all of it where the whole table is judged. */
static int put_from(const struct validating *v, struct strbuf *sql, struct error *err)
{
	const struct tally *t = v->t;
	strbuf_printf(sql, " from %s", v->m->target);
	if (t->whole)
		return 0;
	strbuf_puts(sql, " where ");
	return render_window(v->m, v->shape->type, calendar_start(t->size, t->looked.first),
			     calendar_start(t->size, t->looked.end), sql, err);
}

static void put_time(const struct validating *v, const char *event_time, enum time_type type,
		     struct strbuf *sql)
{
	auto_strbuf column = STRBUF_INIT;
	strbuf_printf(&column, "(%s)", event_time);
	pg_put_truncated(sql, calendar_size_name(v->t->size), type, column.str);
}

/* The one pass over the target: rows a window. */
static int count_rows(const struct validating *v, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_result *rows = NULL;
	strbuf_puts(&sql, SQL_VALIDATE_COUNT " ");
	put_time(v, v->m->model->event_time, v->shape->type, &sql);
	strbuf_puts(&sql, " as t, pg_catalog.count(*) as n");
	int r = put_from(v, &sql, err);
	strbuf_puts(&sql, " group by 1) batchfs_w");
	if (!r)
		r = ask(v, &sql, &rows, err);
	for (int row = 0; !r && row < PQntuples(rows); row++) {
		if (pg_null(rows, row, 0))
			tally_no_event_time(v->t, pg_int(rows, row, 1));
		else
			tally_rows(v->t, pg_int(rows, row, 0), pg_int(rows, row, 1));
	}
	return r;
}

/* The parts of the unique_key, each with `before` and, counted, `after` around it. */
static void put_key(const struct validating *v, const char *before, const char *after, const char *between,
		    struct strbuf *sql)
{
	const char **key = v->m->model->unique_key;
	for (size_t i = 0; key[i]; i++) {
		strbuf_printf(sql, "%s%s(%s)", i ? between : "", before, key[i]);
		if (strcmp(after, "as") == 0)
			strbuf_printf(sql, " as batchfs_%zu", i);
		else if (strcmp(after, "=") == 0)
			strbuf_printf(sql, " = batchfs_d.batchfs_%zu", i);
		else
			strbuf_puts(sql, after);
	}
}

/*
 * Keys that more than one row of the table has, then the rows of the windows that have them: of a stretch,
 * only its own keys are looked for. A key with a null in it equals none, as for a unique index.
 */
static int write_duplicates(const struct validating *v, struct strbuf *sql, struct error *err)
{
	int r = 0;
	strbuf_puts(sql, "with batchfs_d as materialized (select ");
	put_key(v, "", "as", ", ", sql);
	strbuf_printf(sql, " from %s where ", v->m->target);
	put_key(v, "", " is not null", " and ", sql);
	if (!v->t->whole) {
		strbuf_puts(sql, " and (");
		put_key(v, "", "", ", ", sql);
		strbuf_puts(sql, ") in (select ");
		put_key(v, "", "", ", ", sql);
		r = put_from(v, sql, err);
		strbuf_putc(sql, ')');
	}
	strbuf_puts(sql, " group by ");
	for (size_t i = 0; v->m->model->unique_key[i]; i++)
		strbuf_printf(sql, "%s%zu", i ? ", " : "", i + 1);
	strbuf_puts(sql, " having pg_catalog.count(*) > 1) " SQL_VALIDATE_DUPLICATES " ");
	put_time(v, v->m->model->event_time, v->shape->type, sql);
	strbuf_puts(sql, " as t, pg_catalog.left(pg_catalog.concat_ws(', ', ");
	put_key(v, "", "::text", ", ", sql);
	strbuf_printf(sql, "), 100) as k from %s join batchfs_d on ", v->m->target);
	put_key(v, "", "=", " and ", sql);
	if (!v->t->whole && !r) {
		strbuf_puts(sql, " where ");
		r = render_window(v->m, v->shape->type, calendar_start(v->t->size, v->t->looked.first),
				  calendar_start(v->t->size, v->t->looked.end), sql, err);
	}
	strbuf_puts(sql, ") batchfs_w where batchfs_w.t is not null group by 1");
	return r;
}

/* Whether an index makes sure that there are no duplicates. */
static int is_unique(const struct validating *v, bool *unique, struct error *err)
{
	struct pg_params params = {0};
	auto_strbuf names = STRBUF_INIT;
	auto_result *found = NULL;
	bool failed = false;
	for (size_t i = 0; v->m->model->unique_key[i]; i++) {
		auto_free char *name = plain_column(v->m->model->unique_key[i], &failed);
		if (name)
			pg_array_text(&names, name);
	}
	pg_array_end(&names);
	if (failed || strbuf_broken(&names))
		return error_set(err, ENOMEM, "no memory to validate %s", v->m->target);
	pg_param_int(&params, v->shape->oid);
	pg_param_text(&params, names.str);
	int r = pg_query_row(&v->w->conn, PG_NO_DEADLINE, SQL_VALIDATE_UNIQUE, &params, &found, err);
	*unique = !r && pg_bool(found, 0, 0);
	return r;
}

/*
 * Whether the table may hold duplicates at all: of one column that is asked at a third of what grouping by it
 * takes. Measured with a million rows, PostgreSQL 15, work_mem 4 MB, in the time of the bare count by batch:
 * count(distinct) 0.9 of rising numbers, 1.2 of numbers in no order, 3.5 of texts; group by 3.5 to 4.3 of all
 * of them, 9 with a work_mem that keeps its hash table in memory. Of two columns in one grouping is quicker
 * than the distinct rows.
 */
static int may_repeat(const struct validating *v, bool *may, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_result *rows = NULL;
	*may = true;
	if (!v->t->whole || v->m->model->unique_key[1])
		return 0;
	strbuf_puts(&sql, "select ");
	put_key(v, "pg_catalog.count", " - ", "", &sql);
	put_key(v, "pg_catalog.count(distinct ", ")", "", &sql);
	int r = put_from(v, &sql, err);
	if (!r)
		r = ask(v, &sql, &rows, err);
	*may = !r && pg_int(rows, 0, 0) > 0;
	return r;
}

static int find_duplicates(const struct validating *v, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_result *rows = NULL;
	bool unique = true, may = true;
	int r = v->m->model->unique_key[0] ? is_unique(v, &unique, err) : 0;
	if (!r && !unique)
		r = may_repeat(v, &may, err);
	if (r || unique || !may)
		return r;
	r = write_duplicates(v, &sql, err);
	if (!r)
		r = ask(v, &sql, &rows, err);
	for (int row = 0; !r && row < PQntuples(rows); row++)
		tally_duplicates(v->t, pg_int(rows, row, 0), pg_int(rows, row, 1), pg_text(rows, row, 2));
	return r;
}

static int count_input(const struct validating *v, const struct input *in, enum time_type type,
		       struct ordinal_range empty, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_result *rows = NULL;
	strbuf_puts(&sql, SQL_VALIDATE_COUNT " ");
	put_time(v, in->event_time, type, &sql);
	strbuf_printf(&sql, " as t, pg_catalog.count(*) as n from %s where (%s) >= ", in->relation.rendered,
		      in->event_time);
	int r = time_literal(type, calendar_start(v->t->size, empty.first), &sql, err);
	strbuf_printf(&sql, " and (%s) < ", in->event_time);
	if (!r)
		r = time_literal(type, calendar_start(v->t->size, empty.end), &sql, err);
	strbuf_puts(&sql, " group by 1) batchfs_w");
	if (!r)
		r = ask(v, &sql, &rows, err);
	tally_input_begin(v->t);
	for (int row = 0; !r && row < PQntuples(rows); row++)
		tally_input(v->t, pg_int(rows, row, 0), pg_int(rows, row, 1));
	return r;
}

/* Only where something is empty: an input may be much larger than the target. */
static int count_inputs(const struct validating *v, struct error *err)
{
	const struct model *m = v->m->model;
	struct ordinal_range empty = tally_empty(v->t);
	int r = 0;
	for (size_t i = 0; !r && empty.first < empty.end && i < m->n_inputs; i++) {
		const struct input *in = &m->inputs[i];
		enum time_type type = v->shape->types[i];
		if (in->filtered && in->event_time && !in->ephemeral && type != TIME_UNKNOWN &&
		    type != TIME_UNSUPPORTED)
			r = count_input(v, in, type, empty, err);
	}
	return r;
}

/* What is wrong with the user's own query is found, and no failure. The last question: an error ends the
 * transaction. */
static int ask_expected(const struct validating *v, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_result *rows = NULL;
	struct error why = {0};
	if (!v->m->model->expect)
		return 0;
	tally_expect_begin(v->t);
	strbuf_printf(&sql, SQL_VALIDATE_EXPECT "\n%s\n) batchfs_e (t, n)", v->m->model->expect);
	int r = ask(v, &sql, &rows, &why);
	if (r == -EIO && v->w->conn.pq && !pg_cancel_asked(&v->w->cancel) && !passing_state(why.sqlstate)) {
		tally_expect_wrong(v->t, why.text);
		return 0;
	}
	if (r && err)
		*err = why;
	for (int row = 0; !r && row < PQntuples(rows); row++) {
		if (pg_null(rows, row, 0) || pg_null(rows, row, 1))
			tally_expect_wrong(v->t, "one of its rows has no start, or no number of rows");
		else
			tally_expect(v->t, pg_int(rows, row, 0), pg_int(rows, row, 1));
	}
	return r;
}

/* What is recorded; from then on everything is asked as the model's own SQL is. */
static int begin(const struct validating *v, struct error *err)
{
	struct pg_params params = {0};
	const struct tally *t = v->t;
	char length[16];
	snprintf(length, sizeof length, "1 %s", calendar_size_name(t->size));
	pg_param_int(&params, pg_id(v->m));
	pg_param_time(&params, calendar_start(t->size, t->looked.first));
	pg_param_time(&params, calendar_start(t->size, t->looked.end));
	pg_param_text(&params, length);
	auto_pipe p = PG_PIPE(&v->w->conn, PG_NO_DEADLINE);
	store_begin_snapshot(v->w->store, &p);
	size_t states = pg_add(&p, SQL_VALIDATE_STATES, &params);
	pg_add(&p, "set local TimeZone to default", NULL);
	pg_add(&p, "set local DateStyle to default", NULL);
	int r = store_run(v->w->store, &p, err);
	for (int row = 0; !r && row < PQntuples(p.results[states]); row++) {
		const PGresult *s = p.results[states];
		tally_state(v->t, calendar_ordinal(t->size, pg_int(s, row, 0)), pg_bool(s, row, 1),
			    pg_bool(s, row, 2), pg_count(s, row, 3));
	}
	return r;
}

static int query(const struct validating *v, const char *sql, struct error *err)
{
	auto_result *done = NULL;
	return pg_query(&v->w->conn, PG_NO_DEADLINE, sql, NULL, &done, err);
}

static int ask_all(const struct validating *v, struct error *err)
{
	int r = begin(v, err);
	if (!r)
		r = count_rows(v, err);
	if (!r)
		r = find_duplicates(v, err);
	/* What policies hide of the inputs, they hide of the model's own query, too. */
	if (!r)
		r = query(v, render_secured, err);
	if (!r)
		r = count_inputs(v, err);
	if (!r)
		r = ask_expected(v, err);
	if (v->w->conn.pq && PQtransactionStatus(v->w->conn.pq) != PQTRANS_IDLE) {
		auto_result *ended = NULL;
		pg_query(&v->w->conn, PG_NO_DEADLINE, "rollback", NULL, &ended, NULL);
	}
	return r;
}

static int start(struct validating *v, struct ordinal_range batches, struct pg_shape **shape,
		 struct error *err)
{
	struct store *s = v->w->store;
	struct ordinal_range all = pg_windows_of(s, v->m);
	bool whole = batches.end == UINT32_MAX;
	struct ordinal_range looked = {whole || batches.first < all.first ? all.first : batches.first,
				       whole || batches.end > all.end ? all.end : batches.end};
	if (tally_init(v->t, v->m->model->batch_size, looked, whole))
		return error_set(err, ENOMEM, "no memory to validate %s", v->m->target);
	int r = batch_meet(v->w, v->m, shape, err);
	if (!r && (*shape)->unfit)
		r = error_set(err, EOPNOTSUPP, "%s", (*shape)->why_not.text);
	v->shape = *shape;
	return r;
}

int pg_validate(struct worker *w, slot model, struct ordinal_range batches, struct tally *out,
		struct error *err)
{
	struct store *s = w->store;
	auto_model struct pg_model *m = model_get(s, model);
	struct pg_shape *shape = NULL;
	struct validating v = {.w = w, .m = m, .t = out};
	struct error own = {0};
	if (!err)
		err = &own;
	pg_cancel_forget(&w->cancel);
	pg_cancel_arm(&w->cancel, true);
	int r = start(&v, batches, &shape, err);
	/* Where there is no table nothing is built. */
	if (!r && shape->oid && pg_id(m))
		r = ask_all(&v, err);
	pg_cancel_arm(&w->cancel, false);
	if (r)
		r = pg_explain(w, m, shape, r, err);
	shape_put(s, shape);
	if (r)
		tally_fini(out);
	return r;
}

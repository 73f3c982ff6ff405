/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A validation (builder.validate): one read transaction, in which what is recorded and what the tables hold
 * belong together, whatever is built meanwhile. Nobody who writes waits for it.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "backend/sqlite/guard.h"
#include "backend/sqlite/look.h"
#include "backend/sqlite/schema.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/time_value.h"

struct validating {
	struct worker *w;
	const struct model *m;
	struct target_view view;
	struct strbuf name; /* of the target, as SQL has it */
	struct tally *t;
};

/* batches NULL: it has no bounds. */
static int prepare(const struct validating *v, const struct strbuf *sql, const struct ordinal_range *batches,
		   enum time_type type, sqlite3_stmt **out, struct error *err)
{
	enum batch_size size = v->t->size;
	if (strbuf_broken(sql))
		return error_set(err, ENOMEM, "no memory");
	int r = worker_checked(v->w, err);
	if (r == 0)
		r = worker_prepare(v->w, sql->str, out, err);
	if (r == 0 && batches)
		r = bind_time(*out, 1, type, calendar_start(size, batches->first), err);
	if (r == 0 && batches)
		r = bind_time(*out, 2, type, calendar_start(size, batches->end), err);
	return r;
}

static const struct ordinal_range *bounds(const struct validating *v)
{
	return v->t->whole ? NULL : &v->t->looked;
}

static void put_where(const struct validating *v, struct strbuf *sql)
{
	if (bounds(v))
		strbuf_printf(sql, SQL_VALIDATE_WINDOW, v->m->event_time, v->m->event_time);
}

static int read_states(const struct validating *v, int64_t table_id, struct error *err)
{
	auto_stmt *stmt = NULL;
	enum batch_size size = v->t->size;
	char length[16];
	snprintf(length, sizeof length, "+1 %s", calendar_size_name(size));
	int r = worker_prepare(v->w, SQL_VALIDATE_STATES, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "iiit", table_id, calendar_start(size, v->t->looked.first),
			    calendar_start(size, v->t->looked.end), length);
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		bool known = sqlite3_column_type(stmt, 1) != SQLITE_NULL;
		tally_state(v->t, calendar_ordinal(size, sqlite3_column_int64(stmt, 0)), true, false,
			    known ? sqlite3_column_int64(stmt, 1) : -1);
		r = 0;
	}
	return r;
}

/* The one pass over the target: rows a window. What is no time is in none. */
static int count_rows(const struct validating *v, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_stmt *stmt = NULL;
	strbuf_printf(&sql, "SELECT batchfs_start(%s, %d), count(*) FROM %s", v->m->event_time,
		      (int)v->t->size, v->name.str);
	put_where(v, &sql);
	strbuf_puts(&sql, " GROUP BY 1");
	int r = prepare(v, &sql, bounds(v), v->view.type, &stmt, err);
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		if (sqlite3_column_type(stmt, 0) == SQLITE_NULL)
			tally_no_event_time(v->t, sqlite3_column_int64(stmt, 1));
		else
			tally_rows(v->t, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1));
		r = 0;
	}
	return r;
}

static int is_unique(const struct validating *v, bool *unique, struct error *err)
{
	auto_strbuf names = STRBUF_INIT;
	auto_stmt *stmt = NULL;
	strbuf_putc(&names, '\n');
	for (size_t i = 0; v->m->unique_key[i]; i++) {
		auto_free char *name = bare_column(v->m->unique_key[i]);
		for (char *c = name; c && *c; c++)
			strbuf_putc(&names, *c & 0x80 ? *c : (char)tolower((unsigned char)*c));
		if (name)
			strbuf_putc(&names, '\n');
	}
	if (strbuf_broken(&names))
		return error_set(err, ENOMEM, "no memory");
	int r = worker_prepare(v->w, SQL_VALIDATE_UNIQUE, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "tt", v->m->relation.identifier, names.str);
	if (r == 0)
		r = db_step(stmt, err);
	*unique = r == 1;
	return r < 0 ? r : 0;
}

/* The parts of the unique_key, with `after` behind each. */
static void put_key(const struct validating *v, const char *after, const char *between, struct strbuf *sql)
{
	for (size_t i = 0; v->m->unique_key[i]; i++)
		strbuf_printf(sql, "%s(%s)%s", i ? between : "", v->m->unique_key[i], after);
}

/*
 * The rows of the windows whose key more than one row of the table has: of a stretch, only its own keys are
 * looked for. A key with a null in it equals none, as for a unique index.
 */
static void write_duplicates(const struct validating *v, struct strbuf *sql)
{
	strbuf_printf(sql, "SELECT batchfs_start(%s, %d) AS start, count(*), min(substr(", v->m->event_time,
		      (int)v->t->size);
	put_key(v, "", " || ', ' || ", sql);
	strbuf_printf(sql, ", 1, 100)) FROM %s", v->name.str);
	put_where(v, sql);
	strbuf_puts(sql, bounds(v) ? " AND (" : " WHERE (");
	put_key(v, "", ", ", sql);
	strbuf_puts(sql, ") IN (SELECT ");
	put_key(v, "", ", ", sql);
	strbuf_printf(sql, " FROM %s WHERE ", v->name.str);
	put_key(v, " IS NOT NULL", " AND ", sql);
	if (bounds(v)) {
		strbuf_puts(sql, " AND (");
		put_key(v, "", ", ", sql);
		strbuf_puts(sql, ") IN (SELECT ");
		put_key(v, "", ", ", sql);
		strbuf_printf(sql, " FROM %s", v->name.str);
		put_where(v, sql);
		strbuf_putc(sql, ')');
	}
	strbuf_puts(sql, " GROUP BY ");
	for (size_t i = 0; v->m->unique_key[i]; i++)
		strbuf_printf(sql, "%s%zu", i ? ", " : "", i + 1);
	strbuf_puts(sql, " HAVING count(*) > 1) AND start IS NOT NULL GROUP BY 1");
}

static int find_duplicates(const struct validating *v, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_stmt *stmt = NULL;
	bool unique = true;
	int r = v->m->unique_key[0] ? is_unique(v, &unique, err) : 0;
	if (r < 0 || unique)
		return r;
	write_duplicates(v, &sql);
	r = prepare(v, &sql, bounds(v), v->view.type, &stmt, err);
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		tally_duplicates(v->t, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1),
				 db_text(stmt, 2));
		r = 0;
	}
	return r;
}

static int count_input(const struct validating *v, const struct input *in, enum time_type type,
		       struct ordinal_range empty, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_stmt *stmt = NULL;
	strbuf_printf(&sql, "SELECT batchfs_start(%s, %d), count(*) FROM \"main\".", in->event_time,
		      (int)v->t->size);
	db_identifier(&sql, in->relation.identifier);
	strbuf_printf(&sql, SQL_VALIDATE_WINDOW " GROUP BY 1", in->event_time, in->event_time);
	int r = prepare(v, &sql, &empty, type, &stmt, err);
	tally_input_begin(v->t);
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		if (sqlite3_column_type(stmt, 0) != SQLITE_NULL)
			tally_input(v->t, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1));
		r = 0;
	}
	return r;
}

/* Only where something is empty: an input may be much larger than the target. */
static int count_inputs(const struct validating *v, struct error *err)
{
	struct ordinal_range empty = tally_empty(v->t);
	auto_free enum time_type *types = calloc(v->m->n_inputs + 1, sizeof *types);
	struct error unfit;
	int64_t last;
	if (empty.first >= empty.end)
		return 0;
	if (!types)
		return error_set(err, ENOMEM, "no memory");
	int r = input_look(v->w->db, v->m, v->view.type, types, &last, &unfit, err);
	for (size_t i = 0; r == 0 && i < v->m->n_inputs; i++) {
		const struct input *in = &v->m->inputs[i];
		if (in->filtered && in->event_time && !in->ephemeral && types[i] != TIME_UNKNOWN &&
		    types[i] != TIME_UNSUPPORTED)
			r = count_input(v, in, types[i], empty, err);
	}
	return r;
}

static int read_expected(const struct validating *v, sqlite3_stmt *stmt, struct error *err)
{
	int r = 0;
	if (sqlite3_column_count(stmt) < 2 || !sqlite3_stmt_readonly(stmt))
		return error_set(err, EINVAL, "it is no SELECT of a start and a number of rows");
	while (r == 0 && (r = db_step(stmt, err)) == 1) {
		int64_t start;
		r = 0;
		if (time_value_type(sqlite3_column_value(stmt, 0), &start) == TIME_UNSUPPORTED ||
		    sqlite3_column_type(stmt, 1) == SQLITE_NULL)
			return error_set(err, EINVAL,
					 "one of its rows has no start, or no number of rows (%s, %s)",
					 db_text(stmt, 0), db_text(stmt, 1));
		tally_expect(v->t, start, sqlite3_column_int64(stmt, 1));
	}
	return r;
}

/* What is wrong with the user's own query is found, and no failure. */
static int ask_expected(const struct validating *v, struct error *err)
{
	auto_stmt *stmt = NULL;
	struct error why = {0};
	if (!v->m->expect)
		return 0;
	tally_expect_begin(v->t);
	GUARDED(v->w, GUARD_QUERY);
	int r = worker_checked(v->w, &why);
	if (r == 0)
		r = db_prepare(v->w->db, v->m->expect, &stmt, &why);
	if (r == 0)
		r = read_expected(v, stmt, &why);
	r = guard_explain(v->w, r, &why);
	if (r == -EBUSY || r == -ECANCELED || r == -ENOMEM) {
		if (err)
			*err = why;
		return r;
	}
	if (r < 0)
		tally_expect_wrong(v->t, why.text);
	return 0;
}

static int begin(struct validating *v, struct ordinal_range batches, bool *tables, struct error *err)
{
	struct ordinal_range all = windows_of(v->w->store, v->m);
	bool whole = batches.end == UINT32_MAX;
	struct ordinal_range looked = {whole || batches.first < all.first ? all.first : batches.first,
				       whole || batches.end > all.end ? all.end : batches.end};
	target_name(&v->name, v->m);
	if (strbuf_broken(&v->name) || tally_init(v->t, v->m->batch_size, looked, whole))
		return error_set(err, ENOMEM, "no memory");
	int r = db_exec(v->w->db, "BEGIN", err);
	if (r == 0)
		r = warehouse_schema_check(v->w->db, tables, err);
	if (r == 0)
		r = target_look(v->w->db, v->m, *tables, &v->view, err);
	if (r == 0 && v->view.why_not.err)
		r = error_set(err, v->view.why_not.err, "%s", v->view.why_not.text);
	return r;
}

static int ask_all(struct validating *v, slot model, struct ordinal_range batches, struct error *err)
{
	bool tables = false;
	int r = begin(v, batches, &tables, err);
	/* Where there is no table nothing is built. */
	if (r < 0 || !v->view.exists)
		return r;
	if (tables)
		r = read_states(v, queue_model_of(v->w->store, model).table_id, err);
	/* A table without a single time has no type, and in no window a row. */
	bool holds = v->view.type != TIME_UNKNOWN || v->t->whole;
	if (r == 0 && holds)
		r = count_rows(v, err);
	if (r == 0 && holds)
		r = find_duplicates(v, err);
	if (r == 0)
		r = count_inputs(v, err);
	return r == 0 ? ask_expected(v, err) : r;
}

int sqlite_validate(struct worker *w, slot model, struct ordinal_range batches, struct tally *out,
		    struct error *err)
{
	struct validating v = {.w = w, .name = STRBUF_INIT, .t = out};
	struct error own = {0};
	if (!err)
		err = &own;
	int r = worker_enter(w, model, err);
	if (r == 0) {
		v.m = w->edition->model;
		r = ask_all(&v, model, batches, err);
	}
	if (r < 0 && worker_checked(w, NULL) < 0)
		r = error_set(err, ECANCELED, "interrupted");
	strbuf_fini(&v.name);
	target_view_fini(&v.view);
	worker_leave(w);
	if (r < 0)
		tally_fini(out);
	return r;
}

int sqlite_keep_validations(struct worker *w, struct store_validation *list, size_t n, struct error *err)
{
	auto_db *queue = NULL;
	int r = worker_enter(w, SLOT_NONE, err);
	if (r == 0)
		r = queue_connect(w->store, &w->patience, &queue, err);
	if (r == 0)
		r = queue_keep_validations(w->store, queue, list, n, err);
	worker_leave(w);
	return r;
}

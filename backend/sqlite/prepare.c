/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "backend/sqlite/prepare.h"
#include "backend/sqlite/schema.h"
#include "backend/sqlite/shape.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/target.h"

int target_register(struct worker *w, const struct model *m, int64_t id, struct error *err)
{
	auto_stmt *stmt = NULL;
	auto_strbuf marker = STRBUF_INIT;
	int r = worker_prepare(w, SQL_MODEL_REGISTER, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "itti", id, m->relation.identifier, calendar_size_name(m->batch_size),
			    clock_now_us(w->store->config.clock));
	if (r == 0)
		r = db_run(stmt, err);
	strbuf_printf(&marker, "CREATE TRIGGER \"main\".\"batchfs_known_%" PRId64 "\" AFTER UPDATE ON ", id);
	db_identifier(&marker, m->relation.identifier);
	strbuf_puts(&marker, " WHEN 0 BEGIN SELECT 0; END");
	if (r == 0 && strbuf_broken(&marker))
		r = error_set(err, ENOMEM, "no memory");
	return r == 0 ? db_exec(w->db, marker.str, err) : r;
}

static int create_index(struct worker *w, slot model, size_t number, const char *const *columns, bool unique,
			struct error *err)
{
	const struct model *m = w->edition->model;
	auto_strbuf sql = STRBUF_INIT, name = STRBUF_INIT;
	/* Named by the table's id: a table that was renamed away keeps its indexes' names. */
	strbuf_printf(&name, "%s_%" PRIx64 "_%zu", m->relation.identifier,
		      queue_model_of(w->store, model).table_id, number);
	strbuf_printf(&sql, "CREATE %sINDEX IF NOT EXISTS \"main\".", unique ? "UNIQUE " : "");
	db_identifier(&sql, name.str);
	strbuf_puts(&sql, " ON ");
	db_identifier(&sql, m->relation.identifier);
	for (size_t i = 0; columns[i]; i++) {
		strbuf_puts(&sql, i ? ", " : " (");
		db_identifier(&sql, columns[i]);
	}
	strbuf_putc(&sql, ')');
	return strbuf_broken(&sql) ? error_set(err, ENOMEM, "no memory") : db_exec(w->db, sql.str, err);
}

/* The config's indexes, and one led by event_time. */
static int create_indexes(struct worker *w, slot model, struct error *err)
{
	const struct model *m = w->edition->model;
	auto_free char *time = bare_column(m->event_time);
	bool led = false;
	int r = 0;
	sqlite3_db_config(w->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	for (size_t i = 0; i < m->n_indexes && r == 0; i++) {
		const char **columns = m->indexes[i].columns;
		if (!columns || !columns[0])
			continue;
		led = led || (time && strcasecmp(columns[0], time) == 0);
		r = create_index(w, model, i + 1, (const char *const *)columns, m->indexes[i].unique, err);
	}
	if (r == 0 && !led && time)
		r = create_index(w, model, 0, (const char *const[]){time, NULL}, false, err);
	sqlite3_db_config(w->db, SQLITE_DBCONFIG_DQS_DDL, 1, NULL);
	return r;
}

static int create_table(struct worker *w, const struct model *m, const struct query_shape *q,
			struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_free char *time = bare_column(m->event_time);
	bool found = !time;
	strbuf_puts(&sql, "CREATE TABLE ");
	target_name(&sql, m);
	for (size_t i = 0; q->names[i]; i++) {
		bool is_time = time && strcasecmp(q->names[i], time) == 0;
		const char *type = q->types[i];
		found = found || is_time;
		if (is_time && !*type)
			type = q->time == TIME_EPOCH ? "INTEGER" : "TEXT";
		strbuf_puts(&sql, i ? ", " : " (");
		db_identifier(&sql, q->names[i]);
		strbuf_printf(&sql, "%s%s", *type ? " " : "", type);
	}
	strbuf_putc(&sql, ')');
	if (!found)
		return error_set(err, EINVAL, "the query of %s yields no column %s, its event_time", m->name,
				 m->event_time);
	return strbuf_broken(&sql) ? error_set(err, ENOMEM, "no memory") : db_exec(w->db, sql.str, err);
}

/* view is that of a missing table; it becomes that of the new one. */
static int create(struct worker *w, slot model, int64_t at, struct target_view *view, struct error *err)
{
	const struct model *m = w->edition->model;
	struct query_shape shape;
	bool was_registered = view->registered;
	int r = query_shape(w, at, &shape, err);
	if (r == 0)
		r = create_table(w, m, &shape, err);
	if (r == 0)
		r = create_indexes(w, model, err);
	/* One that was known before and has gone is void first: LOOK_FIRST gives the new one its own id. */
	if (r == 0 && !was_registered)
		r = target_register(w, m, queue_model_of(w->store, model).table_id, err);
	if (r == 0) {
		target_view_fini(view);
		r = target_look(w->db, m, true, view, err);
	}
	if (r == 0)
		view->type = shape.time;
	query_shape_fini(&shape);
	return r;
}

/* What an empty table without a declared type will hold. */
static void type_of_query(struct worker *w, slot model, int64_t at, struct target_view *view)
{
	struct query_shape shape;
	if (query_shape(w, at, &shape, NULL) == 0)
		view->type = shape.time;
	query_shape_fini(&shape);
}

static int prepare(struct worker *w, slot model, bool make, struct target_view *view, struct error *err)
{
	struct store *s = w->store;
	const struct model *m = w->edition->model;
	bool write = make && !s->config.read_only, tables;
	struct error unfit;
	int64_t last;
	int r = db_exec(w->db, write ? "BEGIN IMMEDIATE" : "BEGIN", err);
	if (r == 0)
		r = warehouse_schema_check(w->db, &tables, err);
	if (r == 0)
		r = target_look(w->db, m, tables, view, err);
	if (r < 0 || view->why_not.err)
		return r;
	enum time_type *types = calloc(m->n_inputs + 1, sizeof *types);
	if (!types)
		return error_set(err, ENOMEM, "no memory");
	r = input_look(w->db, m, view->type, types, &last, &unfit, err);
	target_learn_inputs(s, w->edition, types);
	int64_t at = last == INT64_MIN ? clock_now_us(s->config.clock) : last;
	if (r == 0 && !view->exists && write)
		r = unfit.err ? error_set(err, unfit.err, "%s", unfit.text) : create(w, model, at, view, err);
	else if (r == 0 && view->exists && view->type == TIME_UNKNOWN)
		type_of_query(w, model, at, view);
	return r == 0 && write ? db_exec(w->db, "COMMIT", err) : r;
}

int sqlite_prepare(struct worker *w, slot model, bool make, struct store_target *target, struct error *err)
{
	struct target_view view = {0};
	*target = (struct store_target){.event_time_type = TIME_UNKNOWN};
	int r = worker_enter(w, model, err);
	target_busy(w->store, model, true);
	if (r == 0)
		r = prepare(w, model, make, &view, err);
	if (r == 0) {
		target_answer(&view, target);
		target_learn(w->store, model, &view);
	}
	target_view_fini(&view);
	target_busy(w->store, model, false);
	worker_leave(w);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/statement.h"

#include <string.h>

#include "backend/sqlite/sql.h"
#include "backend/sqlite/target.h"

/* `TIME >= L and TIME < L` */
static int window(struct strbuf *out, const char *time, enum time_type type, int64_t start, int64_t end,
		  struct error *err)
{
	strbuf_printf(out, "%s >= ", time);
	int r = time_literal(type, start, out, err);
	strbuf_printf(out, " AND %s < ", time);
	return r == 0 ? time_literal(type, end, out, err) : r;
}

/* m."event_time" where it is a column: an unqualified "name" that is no column would be a string. */
static void time_of_query(struct strbuf *out, const struct model *m)
{
	auto_free char *column = bare_column(m->event_time);
	if (!column) {
		strbuf_puts(out, m->event_time);
		return;
	}
	strbuf_puts(out, "m.");
	db_identifier(out, column);
}

static void column_list(struct strbuf *out, char *const *columns, const char *before)
{
	for (size_t i = 0; columns[i]; i++) {
		strbuf_puts(out, i ? ", " : "");
		strbuf_puts(out, before);
		db_identifier(out, columns[i]);
	}
}

static int insert(const struct edition *e, const struct target *t, int64_t start, int64_t end,
		  struct strbuf *out, struct error *err)
{
	const struct model *m = e->model;
	auto_strbuf time = STRBUF_INIT;
	time_of_query(&time, m);
	strbuf_puts(out, "INSERT INTO ");
	target_name(out, m);
	strbuf_puts(out, " (");
	column_list(out, t->columns, "");
	strbuf_puts(out, ")\nSELECT ");
	column_list(out, t->columns, "m.");
	strbuf_puts(out, " FROM (SELECT * FROM (\n");
	int r = window_sql_render(e->sql, e->input_types, start, end, out, err);
	/*
	 * On a line of its own: the query may end with a comment. The LIMIT keeps SQLite from moving our
	 * condition into the query, where it would count rows that the query itself leaves out.
	 */
	strbuf_puts(out, "\n) LIMIT -1) AS m WHERE CASE WHEN ");
	if (r == 0)
		r = window(out, time.str, t->type, start, end, err);
	strbuf_printf(out, " AND batchfs_is_time(%s) THEN 1 ELSE batchfs_outside(%s) END", time.str,
		      time.str);
	return r == 0 && strbuf_broken(&time) ? error_set(err, ENOMEM, "no memory") : r;
}

static void bookkeeping(int64_t table_id, int64_t start, struct batch_sql *out)
{
	long long id = table_id, at = start;
	strbuf_puts(&out->text[STATEMENT_BEGIN], "BEGIN IMMEDIATE");
	strbuf_printf(&out->text[STATEMENT_FENCE], SQL_BATCH_FENCE, id, at);
	strbuf_printf(&out->text[STATEMENT_STATE], SQL_BATCH_STATE, id, at);
	strbuf_printf(&out->text[STATEMENT_HISTORY], SQL_BATCH_HISTORY, id, at);
	strbuf_puts(&out->text[STATEMENT_COMMIT], "COMMIT");
}

int batch_sql_make(struct store *s, slot model, const struct edition *e, ordinal batch, struct batch_sql *out,
		   struct error *err)
{
	const struct model *m = e->model;
	const struct target *t = &warehouse_of(s)->targets[model];
	int64_t start = calendar_start(m->batch_size, batch), end = calendar_start(m->batch_size, batch + 1);
	for (int i = 0; i < STATEMENTS; i++)
		out->text[i] = (struct strbuf)STRBUF_INIT;
	if (!s->models[model].enlisted || !e->sql)
		return error_set(err, EOPNOTSUPP, "%s cannot run on this warehouse", m->dir);
	if (!t->columns || !e->input_types || t->type == TIME_UNKNOWN)
		return error_set(err, ENODATA,
				 "the table %s does not exist yet and its columns are not known: the first "
				 "build makes it",
				 m->relation.identifier);
	bookkeeping(s->models[model].table_id, start, out);
	struct strbuf *delete = &out->text[STATEMENT_DELETE];
	strbuf_puts(delete, "DELETE FROM ");
	target_name(delete, m);
	strbuf_puts(delete, " WHERE ");
	int r = window(delete, m->event_time, t->type, start, end, err);
	if (r == 0)
		r = insert(e, t, start, end, &out->text[STATEMENT_INSERT], err);
	for (int i = 0; i < STATEMENTS && r == 0; i++)
		if (strbuf_broken(&out->text[i]))
			r = error_set(err, ENOMEM, "no memory");
	return r;
}

void batch_sql_fini(struct batch_sql *sql)
{
	for (int i = 0; i < STATEMENTS; i++)
		strbuf_fini(&sql->text[i]);
}

int input_check_sql(const struct edition *e, size_t input, ordinal batch, struct strbuf *out,
		    struct error *err)
{
	const struct model *m = e->model;
	const struct input *in = &m->inputs[input];
	if (!in->event_time || !in->filtered || in->ephemeral)
		return 0;
	strbuf_printf(out, "SELECT %s FROM \"main\".", in->event_time);
	db_identifier(out, in->relation.identifier);
	strbuf_puts(out, " WHERE ");
	int r = window(out, in->event_time, e->input_types[input], calendar_start(m->batch_size, batch),
		       calendar_start(m->batch_size, batch + 1), err);
	strbuf_printf(out, " AND NOT batchfs_is_time(%s) LIMIT 1", in->event_time);
	return r;
}

int sqlite_statements(struct store *s, slot model, struct ordinal_range batches, struct strbuf *out,
		      struct error *err)
{
	int r = 0;
	LOCKED(&s->lock);
	for (ordinal b = batches.first; b < batches.end && r == 0; b++) {
		struct batch_sql sql;
		r = batch_sql_make(s, model, warehouse_of(s)->targets[model].edition, b, &sql, err);
		for (int i = 0; i < STATEMENTS && r == 0; i++) {
			strbuf_add(out, sql.text[i].str, sql.text[i].len);
			strbuf_puts(out, ";\n");
		}
		batch_sql_fini(&sql);
	}
	return r == 0 && strbuf_broken(out) ? error_set(err, ENOMEM, "no memory") : r;
}

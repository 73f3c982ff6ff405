/* SPDX-License-Identifier: Apache-2.0 */
/* The statements of one batch, as they are sent and as X.sql shows them: one code for both. */
#include <stdio.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/postgres/partition.h"
#include "backend/postgres/sql.h"

const char *const render_unsecured = "set local row_security = off";
const char *const render_secured = "set local row_security to default";

static void put_event_time(const struct pg_model *m, struct strbuf *out)
{
	/* Bare where it is a column, so that the statement reads as a person would write it. */
	strbuf_printf(out, m->column ? "%s" : "(%s)", m->model->event_time);
}

int render_window(const struct pg_model *m, enum time_type type, int64_t start, int64_t end,
		  struct strbuf *out, struct error *err)
{
	put_event_time(m, out);
	strbuf_puts(out, " >= ");
	int r = time_literal(type, start, out, err);
	if (!r) {
		strbuf_puts(out, " and ");
		put_event_time(m, out);
		strbuf_puts(out, " < ");
		r = time_literal(type, end, out, err);
	}
	return r ? error_prefix(err, "%s, event_time %s: ", m->target, m->model->event_time) : 0;
}

static int render_batch_window(const struct pg_model *m, enum time_type type, ordinal batch,
			       struct strbuf *out, struct error *err)
{
	enum batch_size size = m->model->batch_size;
	return render_window(m, type, calendar_start(size, batch), calendar_start(size, batch + 1), out, err);
}

int render_delete(const struct pg_model *m, const struct pg_shape *shape, ordinal batch, struct strbuf *out,
		  struct error *err)
{
	strbuf_printf(out, "delete from %s where ", m->target);
	return render_batch_window(m, shape->type, batch, out, err);
}

int render_insert(const struct pg_model *m, const struct pg_shape *shape, ordinal batch, const char *table,
		  struct strbuf *out, struct error *err)
{
	enum batch_size size = m->model->batch_size;
	strbuf_printf(out, "insert into %s ", table);
	if (strcmp(shape->columns, "*") != 0)
		strbuf_printf(out, "(%s) ", shape->columns);
	strbuf_printf(out, "select %s from (\n", shape->columns);
	int r = window_sql_render(m->sql, shape->types, calendar_start(size, batch),
				  calendar_start(size, batch + 1), out, err);
	if (r)
		return r;
	/* A newline: the query may end in a comment. */
	strbuf_puts(out, "\n) batchfs_batch where case when ");
	r = render_batch_window(m, shape->type, batch, out, err);
	if (r)
		return r;
	strbuf_puts(out, " then true else " SQL_COUNT_OUTSIDE " end");
	return strbuf_broken(out) ? error_set(err, ENOMEM, "no memory for the statements of %s", m->target)
				  : 0;
}

/* What stands for what is not known before the target and its inputs are there. */
static struct pg_shape *assumed(const struct model *m, const struct pg_shape *seen)
{
	struct pg_shape *shape = shape_new(m);
	if (!shape)
		return NULL;
	shape->secured = seen && seen->secured;
	shape->type = seen && seen->type != TIME_UNKNOWN ? seen->type : TIME_TIMESTAMPTZ;
	for (size_t i = 0; i < m->n_inputs; i++)
		shape->types[i] = seen && seen->types[i] != TIME_UNKNOWN ? seen->types[i] : TIME_TIMESTAMPTZ;
	const char *columns = seen && seen->columns && *seen->columns ? seen->columns : "*";
	shape->columns = strdup(columns);
	if (!shape->columns) {
		free(shape->types);
		free(shape);
		return NULL;
	}
	return shape;
}

static bool all_known(const struct model *m, const struct pg_shape *seen)
{
	if (!seen || seen->type == TIME_UNKNOWN || !seen->columns)
		return false;
	for (size_t i = 0; i < m->n_inputs; i++)
		if (m->inputs[i].filtered && seen->types[i] == TIME_UNKNOWN)
			return false;
	return true;
}

/* As a comment: which batch of a request is its first or last one shows when it is built. */
static void add_hook(const struct hook *hook, struct strbuf *out)
{
	strbuf_printf(out, "-- %s the %s batch of a touch%s: ", hook->post ? "after" : "before",
		      hook->post ? "last" : "first", hook->transaction ? ", in its transaction" : "");
	for (const char *c = hook->sql ? hook->sql : hook->text; *c; c++)
		strbuf_putc(out, *c == '\n' ? ' ' : *c);
	strbuf_putc(out, '\n');
}

int pg_statements(struct store *s, slot model, struct ordinal_range batches, struct strbuf *out,
		  struct error *err)
{
	auto_model struct pg_model *m = model_get(s, model);
	if (!m->sql)
		return error_set(err, EOPNOTSUPP, "%s cannot run here", m->model->dir);
	struct pg_shape *seen = shape_get(s, m), *shape = assumed(m->model, seen);
	int r = shape ? 0 : error_set(err, ENOMEM, "no memory for the statements of %s", m->target);
	if (shape && !all_known(m->model, seen))
		strbuf_puts(out, "-- the target or an input is not there yet: its columns are shown as *, "
				 "its times as "
				 "timestamptz\n");
	for (size_t i = 0; i < m->model->n_hooks; i++)
		add_hook(&m->model->hooks[i], out);
	if (seen && partition_exchanged(m, seen))
		strbuf_printf(
			out,
			"-- where its partition is exactly the batch and has %s or more: a table beside "
			"is filled and exchanged for the partition; else\n",
			count_of(PARTITION_EXCHANGE_ROWS, "row", "rows").text);
	for (ordinal batch = batches.first; !r && batch < batches.end; batch++) {
		strbuf_puts(out, "begin isolation level read committed read write;\n");
		/* A newline: the header may end in a comment, and a second semicolon does no harm. */
		if (m->model->sql_header)
			strbuf_printf(out, "%s\n;\n", m->model->sql_header);
		if (shape->secured)
			strbuf_printf(out, "%s;\n", render_unsecured);
		r = render_delete(m, shape, batch, out, err);
		strbuf_puts(out, ";\n");
		if (shape->secured)
			strbuf_printf(out, "%s;\n", render_secured);
		if (!r)
			r = render_insert(m, shape, batch, m->target, out, err);
		strbuf_puts(out, ";\ncommit;\n");
	}
	shape_put(s, seen);
	shape_put(s, shape);
	if (!r && strbuf_broken(out))
		r = error_set(err, ENOMEM, "no memory for the statements of %s", m->target);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/partition.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/postgres/sql.h"

#define TRIES	 20
#define AGAIN_US 100000

bool partition_exchanged(const struct pg_model *m, const struct pg_shape *shape)
{
	/* A query that reads the target must not see the rows that it replaces, as it does not after DELETE.
	 */
	return shape->hinders && !*shape->hinders && !m->model->n_hooks && !m->model->reads_itself;
}

bool partition_made(const struct pg_model *m, const struct pg_shape *shape)
{
	return m->model->partitions_made && shape->ranged;
}

/* "_p2024_09_17": what a partition's name has behind the target's. */
static void put_name(struct strbuf *names, enum batch_size size, ordinal batch)
{
	char name[CALENDAR_NAME_MAX], suffix[CALENDAR_NAME_MAX + 2];
	calendar_name(size, batch, name);
	snprintf(suffix, sizeof suffix, "_p%s", name);
	for (char *c = suffix; *c; c++)
		*c = *c == '-' ? '_' : (char)tolower((unsigned char)*c);
	pg_array_text(names, suffix);
}

/* *missing: the statements that make partitions, three a row. */
static int find_missing(struct worker *w, const struct pg_model *m, const struct build_run *run,
			const struct pg_shape *shape, PGresult **missing, struct error *err)
{
	enum batch_size size = m->model->batch_size;
	auto_columns c;
	struct pg_params params = {0};
	pg_columns_init(&c, 3);
	for (uint32_t i = 0; i < run->count; i++) {
		ordinal batch = run->first + i;
		if (!run->attempt[i] || !build_wanted(run, batch))
			continue;
		put_name(&c.column[0], size, batch);
		pg_array_time(&c.column[1], calendar_start(size, batch));
		pg_array_time(&c.column[2], calendar_start(size, batch + 1));
	}
	pg_columns_end(&c);
	if (pg_columns_broken(&c))
		return error_set(err, ENOMEM, "no memory for the partitions of %s", m->target);
	pg_param_int(&params, shape->oid);
	pg_param_columns(&params, &c, 0, 3);
	pg_param_text(&params, m->model->unlogged ? "true" : "false");
	return pg_query(&w->conn, pg_deadline(w->store), SQL_PARTITION_MISSING, &params, missing, err);
}

static int make(struct worker *w, const PGresult *missing, struct error *err)
{
	auto_pipe p = PG_PIPE(&w->conn, PG_NO_DEADLINE);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	pg_add(&p, "set local lock_timeout = '1s'", NULL);
	for (int row = 0; row < PQntuples(missing); row++)
		for (int col = 0; col < PQnfields(missing); col++)
			if (!pg_null(missing, row, col))
				pg_add(&p, pg_text(missing, row, col), NULL);
	pg_add(&p, "commit", NULL);
	return pg_run(&p, err);
}

/* Another mount has made it meanwhile: its name is taken (42P07), or its bounds are (42P17). */
static bool was_made(const char *sqlstate)
{
	return strcmp(sqlstate, "42P07") == 0 || strcmp(sqlstate, "42P17") == 0;
}

int partition_make(struct worker *w, const struct pg_model *m, const struct build_run *run,
		   const struct pg_shape *shape, struct error *refused, struct error *err)
{
	struct error why = {0};
	int r = 0;
	for (int i = 0; i < TRIES; i++) {
		auto_result *missing = NULL;
		why = (struct error){0};
		r = find_missing(w, m, run, shape, &missing, &why);
		if (!r && PQntuples(missing) > 0)
			r = make(w, missing, &why);
		bool again = r == -EIO && (passing_state(why.sqlstate) || was_made(why.sqlstate)) &&
			     !pg_cancel_asked(&w->cancel);
		if (!again || pg_pause(w->conn.abandon_fd, clock_monotonic_us() + AGAIN_US))
			break;
	}
	if (r != -EIO || !w->conn.pq || passing_state(why.sqlstate)) {
		if (r && err)
			*err = why;
		return r;
	}
	error_prefix(&why, "no partition could be made for the batch, as meta.batchfs.partitions says: ");
	*refused = why;
	return 0;
}

static void __attribute__((format(printf, 3, 4))) note(char *notes, size_t size, const char *fmt, ...)
{
	size_t len = strlen(notes);
	va_list args;
	va_start(args, fmt);
	vsnprintf(notes + len, size - len, fmt, args);
	va_end(args);
}

const char *partition_strategy(const struct pg_model *m, const struct pg_shape *shape, char *notes,
			       size_t size)
{
	if (shape->oid && m->model->partitions_made && !shape->ranged)
		note(notes, size,
		     "meta.batchfs.partitions is make, and no partition is made: %s is not partitioned by range of "
		     "its event_time alone\n",
		     m->target);
	if (partition_exchanged(m, shape)) {
		note(notes, size,
		     "a batch that has %s or more and whose partition is exactly its window is replaced by "
		     "exchange of that partition, every other one by DELETE and INSERT; a REPEATABLE READ transaction "
		     "that has begun before an exchange may see too few rows\n",
		     count_of(PARTITION_EXCHANGE_ROWS, "row", "rows").text);
		return "exchange";
	}
	if (shape->hinders && shape->ranged)
		note(notes, size, "no partition is exchanged, because %s %s\n",
		     *shape->hinders ? m->target : m->model->dir,
		     *shape->hinders	 ? shape->hinders
		     : m->model->n_hooks ? "has hooks"
					 : "reads itself");
	return "delete+insert";
}

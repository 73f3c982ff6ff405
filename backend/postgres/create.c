/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes a target: columns from the query, the config's indexes, one led by event_time.
 * Looks first (IF NOT EXISTS fails without CREATE, and races), in a transaction of its
 * own under an advisory lock on the target's name.
 */
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

static int roll_back(struct pg_conn *c, int64_t until, int r)
{
	auto_result *undone = NULL;
	if (c->pq && PQtransactionStatus(c->pq) == PQTRANS_INTRANS)
		pg_query(c, until, "rollback", NULL, &undone, NULL);
	return r;
}

/* *timed_out: the lock was not to be had. */
static int begin_and_look(struct worker *w, const struct pg_model *m, bool lock, PGresult **out,
			  bool *timed_out, int64_t until, struct error *err)
{
	struct pg_params name = {0}, names = {0};
	pg_param_text(&name, m->target);
	pg_param_text(&names, m->model->relation.schema);
	pg_param_text(&names, m->model->relation.identifier);
	auto_pipe p = PG_PIPE(&w->conn, until);
	pg_add(&p, "begin isolation level read committed read write", NULL);
	size_t locked = p.n;
	if (lock)
		pg_add(&p, SQL_CREATE_LOCK, &name);
	size_t found = pg_add(&p, SQL_CREATE_LOOK, &names);
	struct error why = {0};
	int r = pg_run(&p, &why);
	*timed_out = r && lock && !p.lost && p.failed == (int)locked && strcmp(why.sqlstate, "55P03") == 0;
	if (r && err)
		*err = why;
	if (r)
		return r;
	*out = p.results[found];
	p.results[found] = NULL;
	return 0;
}

/*
 * Opens the transaction. 1: somebody else has made it. *schema: it is to be made too. The lock spares two
 * mounts that make the same the failure of one; anybody who may connect can hold it, so that it is not waited
 * for for ever.
 */
static int look(struct worker *w, const struct pg_model *m, bool *schema, int64_t until, struct error *err)
{
	auto_result *f = NULL;
	bool timed_out;
	int r = begin_and_look(w, m, true, &f, &timed_out, until, err);
	if (timed_out)
		r = begin_and_look(w, m, false, &f, &timed_out, until, err);
	if (r)
		return r;
	const char *user = pg_text(f, 0, 3);
	*schema = !pg_bool(f, 0, 0);
	if (pg_bool(f, 0, 5))
		return 1;
	if (*schema && !pg_bool(f, 0, 2))
		return error_sql(err, EACCES, "42501",
				 "%s may not make the schema %s: GRANT CREATE ON DATABASE %s TO %s", user,
				 m->model->relation.schema, pg_text(f, 0, 4), user);
	if (!*schema && !pg_bool(f, 0, 1))
		return error_sql(err, EACCES, "42501",
				 "%s may not make the table %s: GRANT USAGE, CREATE ON SCHEMA \"%s\" TO %s",
				 user, m->target, m->model->relation.schema, user);
	return 0;
}

/* Its batches are to be partitions (partition.h), which an expression cannot tell apart. */
static bool is_partitioned(const struct pg_model *m)
{
	return m->model->partitions_made && m->column;
}

/* Of a table that is to be partitioned and is not made of a contract: by way of another one, because CREATE
 * TABLE AS makes no partitioned one. */
static void add_columns_of_query(struct pg_pipe *p, const struct pg_model *m, const char *name,
				 const char *columns)
{
	auto_strbuf table = STRBUF_INIT, drop = STRBUF_INIT;
	strbuf_printf(&table, "create table %s (like %s) partition by range (", m->target, name);
	quote_name(&table, m->column);
	strbuf_putc(&table, ')');
	strbuf_printf(&drop, "drop table %s", name);
	p->broken |= strbuf_broken(&table) || strbuf_broken(&drop);
	pg_add(p, columns, NULL);
	pg_add(p, table.str, NULL);
	pg_add(p, drop.str, NULL);
}

static int write_table(const struct pg_model *m, const struct pg_shape *shape, const char *name,
		       struct strbuf *sql, struct error *err)
{
	/* An empty window: nothing is read, the columns are the query's. */
	int64_t start =
		calendar_start(m->model->batch_size, calendar_ordinal(m->model->batch_size, m->model->begin));
	/* Of what is partitioned, the partitions are unlogged. */
	strbuf_printf(sql, "create %stable %s ", m->model->unlogged && !is_partitioned(m) ? "unlogged " : "",
		      name);
	if (m->model->contract) {
		contract_write_table(m->model, sql);
		if (is_partitioned(m)) {
			strbuf_puts(sql, " partition by range (");
			quote_name(sql, m->column);
			strbuf_putc(sql, ')');
		}
		return 0;
	}
	strbuf_puts(sql, "as\n");
	int r = window_sql_render(m->sql, shape->types, start, start, sql, err);
	strbuf_puts(sql, "\nwith no data");
	return r;
}

/* As dbt writes it: columns may be expressions, with `desc` behind them, and are not quoted. */
static void add_index(struct pg_pipe *p, const struct pg_model *m, const struct index_config *index)
{
	auto_strbuf sql = STRBUF_INIT;
	strbuf_printf(&sql, "create %sindex on %s ", index->unique ? "unique " : "", m->target);
	if (index->type)
		strbuf_printf(&sql, "using %s", index->type);
	for (size_t i = 0; index->columns[i]; i++)
		strbuf_printf(&sql, "%s%s", i ? ", " : " (", index->columns[i]);
	strbuf_putc(&sql, ')');
	p->broken |= strbuf_broken(&sql);
	pg_add(p, sql.str, NULL);
}

static int make(struct worker *w, const struct pg_model *m, const struct pg_shape *shape, bool schema,
		int64_t until, struct error *err)
{
	auto_strbuf table = STRBUF_INIT, namespace = STRBUF_INIT, other = STRBUF_INIT;
	bool by_way = is_partitioned(m) && !m->model->contract;
	quote_name(&other, m->model->relation.schema);
	strbuf_printf(&other, ".batchfs_new_%d", pg_id(m));
	int r = write_table(m, shape, by_way ? other.str : m->target, &table, err);
	if (r)
		return r;
	strbuf_puts(&namespace, "create schema ");
	quote_name(&namespace, m->model->relation.schema);
	auto_pipe p = PG_PIPE(&w->conn, until);
	p.broken = strbuf_broken(&table) || strbuf_broken(&namespace) || strbuf_broken(&other);
	if (schema)
		pg_add(&p, namespace.str, NULL);
	header_add(&p, m->model);
	if (by_way)
		add_columns_of_query(&p, m, other.str, table.str);
	else
		pg_add(&p, table.str, NULL);
	for (size_t i = 0; i < m->model->n_indexes; i++)
		add_index(&p, m, &m->model->indexes[i]);
	return pg_run(&p, err);
}

/*
 * The one that no config asks for, where none of the config's leads with event_time. In a transaction of its
 * own: an expression that no index can be made of (date_trunc of a timestamptz) leaves the table without one,
 * and a note says so.
 */
static void add_index_of_event_time(struct worker *w, const struct pg_model *m, int64_t until)
{
	auto_strbuf sql = STRBUF_INIT;
	auto_pipe p = PG_PIPE(&w->conn, until);
	struct pg_params names = {0};
	struct error err = {0};
	pg_param_text(&names, m->model->relation.schema);
	pg_param_text(&names, m->model->relation.identifier);
	pg_param_text(&names, m->column);
	auto_result *led = NULL;
	int r = pg_query(&w->conn, until, SQL_CREATE_IS_LED, &names, &led, &err);
	if (!r && PQntuples(led) > 0)
		return;
	strbuf_printf(&sql, m->column ? "create index on %s (%s)" : "create index on %s ((%s))", m->target,
		      m->model->event_time);
	p.broken = strbuf_broken(&sql);
	if (!r) {
		pg_add(&p, "begin isolation level read committed read write", NULL);
		pg_add(&p, "set local lock_timeout = '1s'", NULL);
		pg_add(&p, sql.str, NULL);
		pg_add(&p, "commit", NULL);
		r = pg_run(&p, &err);
	}
	if (r)
		log_warning(w->store->config->log, "no index of event_time for %s: %s", m->target, err.text);
}

/* Checked before the commit: a table that no batch can be built into must not stay behind. */
static int check_made(struct worker *w, const struct pg_model *m, uint32_t *oid, int64_t until,
		      struct error *err)
{
	struct pg_params names = {0};
	pg_param_text(&names, m->model->relation.schema);
	pg_param_text(&names, m->model->relation.identifier);
	pg_param_text(&names, m->column);
	auto_result *made = NULL;
	int r = pg_query(&w->conn, until, SQL_CREATE_FIND, &names, &made, err);
	if (r)
		return r;
	*oid = (uint32_t)pg_int(made, 0, 0);
	if (!m->column)
		return 0;
	if (pg_null(made, 0, 1))
		return error_set(err, EOPNOTSUPP,
				 "the query of %s yields no column %s, which is its event_time",
				 m->model->dir, m->column);
	return 0;
}

static int finish(struct worker *w, const struct pg_model *m, uint32_t oid, int64_t until, struct error *err)
{
	struct pg_params params = {0};
	pg_param_int(&params, pg_id(m));
	pg_param_int(&params, oid);
	auto_pipe p = PG_PIPE(&w->conn, until);
	pg_add(&p, SQL_CREATE_RECORD, &params);
	pg_add(&p, "commit", NULL);
	return pg_run(&p, err);
}

int create_target(struct worker *w, struct pg_model *m, const struct pg_shape *shape, struct error *err)
{
	int64_t until = PG_NO_DEADLINE;
	bool schema = false;
	uint32_t oid = 0;
	int r = look(w, m, &schema, until, err);
	if (!r)
		r = make(w, m, shape, schema, until, err);
	if (!r)
		r = check_made(w, m, &oid, until, err);
	if (!r)
		r = finish(w, m, oid, until, err);
	if (!r)
		add_index_of_event_time(w, m, until);
	/* What a sql_header has left in the session is not to be there twice. */
	if (m->model->sql_header)
		w->ran = SLOT_NONE;
	return roll_back(&w->conn, until, r > 0 ? 0 : r);
}

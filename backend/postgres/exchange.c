/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/exchange.h"

#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/strbuf.h"
#include "backend/postgres/conn.h"
#include "backend/postgres/sql.h"
#include "backend/postgres/value.h"

#define BEGIN "begin isolation level read committed read write"

/* A lock that was not to be had, or a deadlock: another time it may be. */
static int judge(int r, struct error *why, struct error *err)
{
	if (r == -EIO && (strcmp(why->sqlstate, "55P03") == 0 || strcmp(why->sqlstate, "40P01") == 0)) {
		why->err = EAGAIN;
		r = -EAGAIN;
	}
	if (r && err)
		*err = *why;
	return r;
}

int exchange_check(struct pg_conn *c, const struct beside *b, const char *table, int64_t until,
		   struct error *err)
{
	struct pg_params params = {0};
	auto_strbuf found = STRBUF_INIT;
	auto_result *refused = NULL;
	pg_param_int(&params, b->target);
	int r = pg_query(c, until, SQL_EXCHANGE_REFUSED, &params, &refused, err);
	if (r || PQntuples(refused) == 0)
		return r;
	for (int i = 0; i < PQntuples(refused); i++)
		strbuf_printf(&found, "%s%s", i ? "; " : "", pg_text(refused, i, 0));
	return error_set(err, EOPNOTSUPP, "%s cannot be exchanged, because that would not keep: %s", table,
			 found.str);
}

/* All locks, in the order of those who read through views, within the patience. */
static int take_locks(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err)
{
	struct pg_params params = {0};
	beside_params(b, &params);
	auto_pipe asked = PG_PIPE(c, until), p = PG_PIPE(c, until);
	pg_add(&asked, SQL_BESIDE_SETTINGS, NULL);
	size_t listed = pg_add(&asked, SQL_EXCHANGE_LOCKS, &params);
	int r = pg_run(&asked, err);
	if (r)
		return r;
	pg_add(&p, SQL_EXCHANGE_SINCE, NULL);
	for (int i = 0; i < PQntuples(asked.results[listed]); i++) {
		pg_add(&p, SQL_EXCHANGE_PATIENCE, NULL);
		pg_add(&p, pg_text(asked.results[listed], i, 0), NULL);
	}
	struct error why = {0};
	return judge(pg_run(&p, &why), &why, err);
}

static int run(struct pg_conn *c, const struct beside *b, const char *query, int64_t until, struct error *err)
{
	struct pg_params params = {0};
	struct error why = {0};
	beside_params(b, &params);
	return judge(beside_run(c, query, &params, until, &why), &why, err);
}

int exchange_run(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err)
{
	int r = take_locks(c, b, until, err);
	return r ? r : run(c, b, SQL_EXCHANGE_STATEMENTS, until, err);
}

static int simple(struct pg_conn *c, const char *statement, int64_t until, struct error *err)
{
	auto_result *done = NULL;
	return pg_query(c, until, statement, NULL, &done, err);
}

static int ask_mirrors(struct pg_conn *c, const struct beside *b, PGresult **mirrors, int64_t until,
		       struct error *err)
{
	struct pg_params params = {0};
	beside_params(b, &params);
	return pg_query(c, until, SQL_EXCHANGE_MIRRORED, &params, mirrors, err);
}

static int complete_mirror(struct pg_conn *c, const struct beside *b, const PGresult *mirrors, int i,
			   int64_t until, struct error *err)
{
	return beside_complete(c, b, (uint32_t)pg_int(mirrors, i, 0), pg_text(mirrors, i, 1), until, err);
}

int exchange_rehearse(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err)
{
	auto_result *mirrors = NULL;
	int r = simple(c, "savepoint batchfs_rehearsal", until, err);
	if (!r)
		r = ask_mirrors(c, b, &mirrors, until, err);
	if (!r)
		r = take_locks(c, b, until, err);
	if (!r)
		r = run(c, b, SQL_EXCHANGE_MIRROR, until, err);
	for (int i = 0; !r && i < PQntuples(mirrors); i++)
		r = complete_mirror(c, b, mirrors, i, until, err);
	if (!r)
		r = run(c, b, SQL_EXCHANGE_STATEMENTS, until, err);
	if (!r)
		r = simple(c, "rollback to savepoint batchfs_rehearsal", until, err);
	if (r == -EIO && err) {
		err->err = EOPNOTSUPP;
		error_prefix(err, "an exchange would fail at its end: ");
	}
	return r == -EIO ? -EOPNOTSUPP : r;
}

static int make_mirrors(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err)
{
	struct pg_params drops = {0};
	struct error why = {0};
	pg_param_text(&drops, b->prefix);
	int r = simple(c, BEGIN, until, err);
	if (!r)
		r = judge(beside_run(c, SQL_EXCHANGE_MIRRORS_DROP, &drops, until, &why), &why, err);
	if (!r)
		r = take_locks(c, b, until, err);
	if (!r)
		r = run(c, b, SQL_EXCHANGE_MIRROR, until, err);
	return r ? r : simple(c, "commit", until, err);
}

static int fill_mirror(struct pg_conn *c, const struct beside *b, const PGresult *mirrors, int i,
		       int64_t until, struct error *err)
{
	int r = simple(c, BEGIN, until, err);
	if (!r && !pg_null(mirrors, i, 2))
		r = simple(c, pg_text(mirrors, i, 2), until, err);
	if (!r)
		r = complete_mirror(c, b, mirrors, i, until, err);
	if (!r)
		r = simple(c, "commit", until, err);
	return r ? r : simple(c, pg_text(mirrors, i, 3), until, err);
}

int exchange_mirror(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err)
{
	auto_result *mirrors = NULL;
	int r = ask_mirrors(c, b, &mirrors, until, err);
	if (r || PQntuples(mirrors) == 0)
		return r;
	r = make_mirrors(c, b, until, err);
	for (int i = 0; i < PQntuples(mirrors) && !r; i++)
		r = fill_mirror(c, b, mirrors, i, until, err);
	return r;
}

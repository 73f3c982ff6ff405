/* SPDX-License-Identifier: Apache-2.0 */
/* The schema `batchfs`: looked at first, made where it is missing, checked where it is there. */
#include <stdio.h>
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

#define VERSION 1
/* Of the lock under which the schema is made: "batchfs" as a number. */
#define SCHEMA_LOCK "7089336938131513971"

static const char *const definition[] = {
	SQL_CREATE_SCHEMA,	  SQL_CREATE_META,	     SQL_CREATE_MODEL,	     SQL_CREATE_REQUEST,
	SQL_CREATE_REQUEST_OPEN,  SQL_CREATE_REQUEST_CANCEL, SQL_CREATE_REQUEST_XID, SQL_CREATE_FREEZE,
	SQL_CREATE_FREEZE_MODEL,  SQL_CREATE_STATE,	     SQL_CREATE_ATTEMPT,     SQL_CREATE_ATTEMPT_XID,
	SQL_CREATE_ATTEMPT_MODEL, SQL_CREATE_OWNER,	     SQL_CREATE_VERSION,
};
#define N_STATEMENTS (sizeof definition / sizeof *definition)
#define N_TABLES     7

static int look(struct store *s, PGresult **out, struct error *err)
{
	return pg_query(&s->control, pg_deadline(s), SQL_SCHEMA_LOOK, NULL, out, err);
}

static int create(struct store *s, struct error *err)
{
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_add_begin(&p);
	for (size_t i = 0; i < N_STATEMENTS; i++)
		pg_add(&p, definition[i], NULL);
	pg_add(&p, "commit", NULL);
	return pg_run(&p, err);
}

/* Two mounts that start together: the second waits here, then finds it. A session's lock, because a
 * failed look-up inside a transaction could not be followed by another. */
static int create_once(struct store *s, struct error *err)
{
	auto_result *locked = NULL, *found = NULL, *unlocked = NULL;
	int64_t until = pg_deadline(s);
	int r = pg_query(&s->control, until, "select pg_advisory_lock(" SCHEMA_LOCK ")", NULL, &locked, err);
	if (!r)
		r = look(s, &found, err);
	if (!r && !pg_bool(found, 0, 0))
		r = create(s, err);
	if (locked && s->control.pq)
		pg_query(&s->control, until, "select pg_advisory_unlock(" SCHEMA_LOCK ")", NULL, &unlocked,
			 NULL);
	return r;
}

static int check_tables(struct store *s, const char *user, struct error *err)
{
	auto_result *tables = NULL, *version = NULL;
	int r = pg_query(&s->control, pg_deadline(s), SQL_SCHEMA_TABLES, NULL, &tables, err);
	if (r)
		return r;
	if (pg_int(tables, 0, 0) != N_TABLES)
		return error_set(
			err, EINVAL,
			"the schema batchfs is not one that batchfs has made: move it out of the way "
			"(alter schema batchfs rename to ...)");
	if (!pg_bool(tables, 0, s->config->read_only ? 1 : 2))
		return error_set(err, EACCES,
				 "%s may not use the tables of the schema batchfs: GRANT %s ON ALL TABLES IN "
				 "SCHEMA batchfs TO %s",
				 user, s->config->read_only ? "SELECT" : "SELECT, INSERT, UPDATE, DELETE",
				 user);
	r = pg_query(&s->control, pg_deadline(s), "select version from batchfs.meta", NULL, &version, err);
	if (r)
		return r;
	if (PQntuples(version) != 1 || pg_int(version, 0, 0) != VERSION)
		return error_set(
			err, EINVAL,
			"the schema batchfs is of version %s, this program knows version %d: mount with the "
			"program that made it, or a newer one",
			PQntuples(version) ? pg_text(version, 0, 0) : "none", VERSION);
	s->schema = true;
	return 0;
}

int schema_open(struct store *s, struct error *err)
{
	auto_result *seen = NULL;
	int r = look(s, &seen, err);
	if (r)
		return r;
	const char *user = pg_text(seen, 0, 3);
	if (!pg_bool(seen, 0, 0)) {
		if (s->config->read_only)
			return 0;
		if (!pg_bool(seen, 0, 1))
			return error_set(err, EACCES,
					 "%s may not make the schema batchfs, where states are kept: GRANT "
					 "CREATE ON DATABASE %s TO %s",
					 user, pg_text(seen, 0, 4), user);
		r = create_once(s, err);
		if (r)
			return r;
	} else if (!pg_bool(seen, 0, 2)) {
		return error_set(err, EACCES,
				 "%s may not use the schema batchfs: GRANT USAGE ON SCHEMA batchfs TO %s",
				 user, user);
	}
	return check_tables(s, user, err);
}

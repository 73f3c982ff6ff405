/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/schema.h"

#include <stdio.h>
#include <string.h>

#include "backend/postgres/sql.h"

struct step {
	int version;
	const char *sql;
};

static const struct step steps[] = {
	{1, SQL_CREATE_SCHEMA},
	{1, SQL_CREATE_META},
	{1, SQL_CREATE_MODEL},
	{1, SQL_CREATE_REQUEST},
	{1, SQL_CREATE_REQUEST_OPEN},
	{1, SQL_CREATE_REQUEST_CANCEL},
	{1, SQL_CREATE_REQUEST_XID},
	{1, SQL_CREATE_FREEZE},
	{1, SQL_CREATE_FREEZE_MODEL},
	{1, SQL_CREATE_STATE},
	{1, SQL_CREATE_ATTEMPT},
	{1, SQL_CREATE_ATTEMPT_XID},
	{1, SQL_CREATE_ATTEMPT_MODEL},
	{1, SQL_CREATE_OWNER},
	{1, SQL_CREATE_VERSION},
	{2, SQL_UPGRADE_2_IDENTITY},
	{2, SQL_UPGRADE_2_OWNER},
	{3, SQL_UPGRADE_3_ANSWER},
	{3, SQL_UPGRADE_3_ANSWER_RANGE},
	{3, SQL_UPGRADE_3_ANSWER_XID},
	{4, SQL_UPGRADE_4_HOOK},
	{5, SQL_UPGRADE_5_CANCELLED},
	{6, SQL_UPGRADE_6_COMPILED},
	{7, SQL_UPGRADE_7_REFRESH},
	{8, SQL_UPGRADE_8_VALIDATION},
	{8, SQL_UPGRADE_8_VALIDATION_XID},
	{8, SQL_UPGRADE_8_VALIDATION_MODEL},
	{9, SQL_UPGRADE_9_ANSWER},
	{9, SQL_UPGRADE_9_REQUEST},
	{9, SQL_UPGRADE_9_ORPHANS},
	{9, SQL_UPGRADE_9_OWNER},
	{10, SQL_UPGRADE_10_DONE},
	{10, SQL_UPGRADE_10_BESIDE},
	{10, SQL_UPGRADE_10_BESIDE_STATE},
	{11, SQL_UPGRADE_11_FAILED},
	{12, SQL_UPGRADE_12_WAREHOUSE},
	{12, SQL_UPGRADE_12_KEY},
	{12, SQL_UPGRADE_12_FORMER_KEY},
};
#define N_STEPS	 (sizeof steps / sizeof *steps)
#define VERSION	 (steps[N_STEPS - 1].version)
#define N_TABLES 7

#define AGAIN_US 100000
/* Somebody may hold the lock for ever: then two mounts that start together both try, and one fails once. */
#define PATIENCE_US 3000000

static int look(struct store *s, PGresult **out, struct error *err)
{
	return pg_query_row(&s->control, pg_deadline(s), SQL_SCHEMA_LOOK, NULL, out, err);
}

/* *version 0: there is no schema. */
static int find(struct store *s, int *version, struct error *err)
{
	auto_result *seen = NULL, *tables = NULL, *found = NULL;
	*version = 0;
	int r = look(s, &seen, err);
	if (r || !pg_bool(seen, 0, 0))
		return r;
	const char *user = pg_text(seen, 0, 3);
	if (!pg_bool(seen, 0, 2))
		return error_set(err, EACCES,
				 "%s may not use the schema batchfs: GRANT USAGE ON SCHEMA batchfs TO %s",
				 user, user);
	r = pg_query_row(&s->control, pg_deadline(s), SQL_SCHEMA_TABLES, NULL, &tables, err);
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
	r = pg_query(&s->control, pg_deadline(s), SQL_SCHEMA_VERSION, NULL, &found, err);
	if (r)
		return r;
	if (PQntuples(found) == 1)
		*version = (int)pg_int(found, 0, 0);
	if (*version < 1 || *version > VERSION)
		return error_set(
			err, EINVAL,
			"the schema batchfs is of version %s, this program knows version %d: mount with "
			"the program that made it, or a newer one",
			PQntuples(found) == 1 ? pg_text(found, 0, 0) : "none", VERSION);
	if (*version < VERSION && !s->config->read_only && !pg_bool(tables, 0, 3))
		return error_set(
			err, EACCES,
			"the schema batchfs is of version %d, this program needs version %d, and only its "
			"owner may bring it up to date: mount once as %s, or GRANT %s TO %s",
			*version, VERSION, pg_text(tables, 0, 4), pg_text(tables, 0, 4), user);
	return 0;
}

static int check_unused(struct store *s, int version, struct error *err)
{
	auto_result *used = NULL;
	int r = pg_query(&s->control, pg_deadline(s), SQL_SCHEMA_IN_USE, NULL, &used, err);
	if (r || PQntuples(used) == 0)
		return r;
	return error_set(
		err, EBUSY,
		"the schema batchfs is of version %d, this program needs version %d, and a mount still runs "
		"by the old one: unmount that first (session %s of %s, %s)",
		version, VERSION, pg_text(used, 0, 0), pg_text(used, 0, 1), pg_text(used, 0, 2));
}

/* All in one transaction. 0 too where another mount has just done it: who calls looks again. */
static int take_steps(struct store *s, int from, struct error *err)
{
	struct pg_params still = {0}, now = {0};
	pg_param_int(&still, from);
	pg_param_int(&now, VERSION);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_add_begin(&p);
	size_t guard = p.n;
	if (from)
		pg_add(&p, SQL_SCHEMA_IS_STILL, &still);
	for (size_t i = 0; i < N_STEPS; i++)
		if (steps[i].version > from)
			pg_add(&p, steps[i].sql, NULL);
	pg_add(&p, SQL_SCHEMA_IS_NOW, &now);
	pg_add(&p, "commit", NULL);
	struct error why = {0};
	int r = pg_run(&p, &why);
	bool other_was_first = r && p.failed == (int)guard &&
			       (strcmp(why.sqlstate, "22012") == 0 || strcmp(why.sqlstate, "42P06") == 0 ||
				strcmp(why.sqlstate, "23505") == 0);
	/* A table that is just being read: ours waits a second at most, so that nobody queues behind it. */
	bool later = r && !p.lost && passing_state(why.sqlstate);
	if (!r && from)
		log_info(s->config->log, "the schema batchfs was brought from version %d to version %d", from,
			 VERSION);
	if (!r || other_was_first)
		return 0;
	if (err)
		*err = why;
	return later ? -EAGAIN : r;
}

static int lock(struct store *s, bool *locked, struct error *err)
{
	int64_t until = clock_monotonic_us() + PATIENCE_US;
	for (*locked = false; !*locked && clock_monotonic_us() < until;) {
		auto_result *got = NULL;
		int r = pg_query_row(&s->control, pg_deadline(s), SQL_SCHEMA_LOCK, NULL, &got, err);
		if (r)
			return r;
		*locked = pg_bool(got, 0, 0);
		if (!*locked && pg_pause(s->abandon_fd, clock_monotonic_us() + AGAIN_US))
			return error_set(err, ECANCELED, "the warehouse has been given up");
	}
	return 0;
}

static int bring_up_to_date(struct store *s, struct error *err)
{
	bool locked;
	int64_t end = pg_deadline(s);
	int r = lock(s, &locked, err);
	while (!r) {
		int version = 0;
		r = find(s, &version, err);
		if (!r && version == VERSION)
			break;
		if (!r && version)
			r = check_unused(s, version, err);
		if (!r)
			r = take_steps(s, version, err);
		if (r == -EAGAIN && clock_monotonic_us() < end &&
		    !pg_pause(s->abandon_fd, clock_monotonic_us() + AGAIN_US))
			r = 0;
	}
	auto_result *unlocked = NULL;
	if (locked && s->control.pq)
		pg_query(&s->control, pg_deadline(s), SQL_SCHEMA_UNLOCK, NULL, &unlocked, NULL);
	return r == -EAGAIN ? -EIO : r;
}

/* *made: there is a schema of our version. */
static int make(struct store *s, bool *made, struct error *err)
{
	int version;
	int r = find(s, &version, err);
	*made = !r && version == VERSION;
	if (r || *made || (!version && s->config->read_only))
		return r;
	if (s->config->read_only)
		return error_set(
			err, EINVAL,
			"the schema batchfs is of version %d, this program needs version %d: a mount "
			"without -o ro brings it up to date",
			version, VERSION);
	auto_result *seen = NULL;
	r = version ? 0 : look(s, &seen, err);
	if (!r && !version && !pg_bool(seen, 0, 1))
		return error_set(err, EACCES,
				 "%s may not make the schema batchfs, where states are kept: GRANT "
				 "CREATE ON DATABASE %s TO %s",
				 pg_text(seen, 0, 3), pg_text(seen, 0, 4), pg_text(seen, 0, 3));
	if (!r)
		r = bring_up_to_date(s, err);
	*made = !r;
	return r;
}

int schema_open(struct store *s, struct error *err)
{
	struct pg_params version = {0};
	pg_param_int(&version, VERSION);
	auto_result *identity = NULL;
	bool made;
	int r = make(s, &made, err);
	/* Workers read it: it is written where it changes only. */
	if (!r && s->schema != made)
		s->schema = made;
	if (r || !made)
		return r;
	r = pg_query_row(&s->control, pg_deadline(s), SQL_SCHEMA_IDENTITY, &version, &identity, err);
	if (r)
		return r;
	LOCKED(&s->lock);
	s->version = VERSION;
	snprintf(s->identity, sizeof s->identity, "%s", pg_text(identity, 0, 0));
	return 0;
}

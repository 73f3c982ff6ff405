/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a touch sends on the control connection is planned once a connection: to parse and plan the request
 * and its claim took the server longer than to carry them out (1.7 of 2.3 ms).
 */
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

static const struct {
	const char *name, *sql;
} statements[PLANNED] = {
	[PLANNED_SETTINGS] = {"batchfs_settings", SQL_SETTINGS_IN_SCHEMA},
	[PLANNED_SETTINGS_OF_CLAIM] = {"batchfs_settings_of_claim", SQL_SETTINGS_OF_CLAIM},
	[PLANNED_LOCK_MODELS] = {"batchfs_lock_models", SQL_REQUEST_LOCK_MODELS},
	[PLANNED_RECORD] = {"batchfs_record", SQL_REQUEST_RECORD},
	[PLANNED_MAKE_ROWS] = {"batchfs_make_rows", SQL_CLAIM_MAKE_ROWS},
	[PLANNED_CLAIM] = {"batchfs_claim", SQL_CLAIM},
};

int planned_prepare(struct store *s, struct error *err)
{
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	p.tolerant =
		true; /* where one cannot be prepared, all of them go as texts, and fail for their reason */
	pg_add(&p, SQL_PLANNED_SETTINGS, NULL);
	for (int i = 0; i < PLANNED; i++)
		pg_add_prepare(&p, statements[i].name, statements[i].sql);
	int r = pg_run(&p, err);
	if (!r && p.failed < 0)
		s->planned = s->control.generation;
	return r;
}

size_t planned_add(const struct store *s, struct pg_pipe *p, enum planned which,
		   const struct pg_params *params)
{
	if (p->conn == &s->control && s->planned == s->control.generation)
		return pg_add_named(p, statements[which].name, params);
	return pg_add(p, statements[which].sql, params);
}

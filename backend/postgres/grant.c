/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

int check_rights(struct pg_conn *c, const struct pg_model *m, uint32_t oid, int64_t deadline,
		 struct error *err)
{
	struct pg_params params = {0};
	pg_param_int(&params, oid);
	auto_result *r = NULL;
	int failed = pg_query(c, deadline, SQL_GRANT_RIGHTS, &params, &r, err);
	if (failed || PQntuples(r) == 0)
		return failed;
	const char *missing = pg_text(r, 0, 0), *user = pg_text(r, 0, 1);
	if (!pg_bool(r, 0, 3))
		return error_sql(err, EACCES, "42501",
				 "%s may not use the schema of %s: GRANT USAGE ON SCHEMA %s TO %s", user,
				 m->target, pg_text(r, 0, 4), user);
	if (*missing)
		return error_sql(err, EACCES, "42501", "%s may not build into %s: GRANT %s ON %s TO %s", user,
				 m->target, missing, m->target, user);
	if (pg_bool(r, 0, 2))
		return error_sql(err, EACCES, "42501",
				 "row level security hides rows of %s from %s, so replacing a batch would "
				 "leave rows behind: "
				 "ALTER ROLE %s BYPASSRLS, or let the table's owner build",
				 m->target, user, user);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/schema.h"

#include "backend/sqlite/db/meta.h"
#include "backend/sqlite/sql.h"

static const char *const steps[] = {SQL_WAREHOUSE_VERSION_1, SQL_WAREHOUSE_VERSION_2,
				    SQL_WAREHOUSE_VERSION_3};
static const struct schema schema = {.version = sizeof steps / sizeof *steps, .steps = steps};

int warehouse_schema_check(sqlite3 *db, bool *present, struct error *err)
{
	return meta_check(db, &schema, present, err);
}

int warehouse_schema_make(sqlite3 *db, struct error *err)
{
	return meta_make(db, &schema, err);
}

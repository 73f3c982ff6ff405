/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/db/meta.h"
#include "backend/sqlite/queue/private.h"

static const char *const steps[] = {SQL_QUEUE_VERSION_1, SQL_QUEUE_VERSION_2, SQL_QUEUE_VERSION_3,
				    SQL_QUEUE_VERSION_4, SQL_QUEUE_VERSION_5, SQL_QUEUE_VERSION_6,
				    SQL_QUEUE_VERSION_7, SQL_QUEUE_VERSION_8, SQL_QUEUE_VERSION_9,
				    SQL_QUEUE_VERSION_10};
static const struct schema schema = {.version = sizeof steps / sizeof *steps, .steps = steps};

int queue_schema(sqlite3 *db, struct error *err)
{
	return meta_make(db, &schema, err);
}

int queue_schema_check(sqlite3 *db, bool *present, struct error *err)
{
	return meta_check(db, &schema, present, err);
}

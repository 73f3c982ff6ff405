/* SPDX-License-Identifier: Apache-2.0 */
/* batchfs's own tables in FILE, in all their versions. */
#ifndef BATCHFS_SQLITE_SCHEMA_H
#define BATCHFS_SQLITE_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>

#include "backend/base/error.h"

/* For who only reads. A newer schema is refused. *present: there is one. */
int warehouse_schema_check(sqlite3 *db, bool *present, struct error *err);
/* Makes it, or brings an older one up to date. */
int warehouse_schema_make(sqlite3 *db, struct error *err);

#endif

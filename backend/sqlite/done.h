/* SPDX-License-Identifier: Apache-2.0 */
/* What FILE has of the batches that are done. */
#ifndef BATCHFS_SQLITE_DONE_H
#define BATCHFS_SQLITE_DONE_H

#include <sqlite3.h>

#include "backend/sqlite/queue/queue.h"

/* Statements over FILE's batchfs_state; `db` outlives them. None where FILE has no such table. */
int done_rows_open(sqlite3 *db, struct done_rows *out, struct error *err);

#endif

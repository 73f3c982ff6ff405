/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema `batchfs`. It is made as its version 1 was and then brought up to date step by step, so that a
 * new one and one that has come a long way are the same. To change it, never touch what is there:
 *
 *   1. Write the statement into schema.sql under `-- name: upgrade_<version>_<what>`, with the next version
 * (or the present one, as long as that has not been released).
 *   2. Name it at the end of `steps` in schema.c. The last step's version is the program's.
 *   3. Test it from version 1, which holds data: tests/unit/test_postgres_schema.c.
 *
 * All steps that are missing run in one transaction, which only the schema's owner can do. Nobody runs by the
 * old version meanwhile: a mount that does is named, and the schema stays as it is. A mount that finds a
 * schema newer than itself says so, with both versions.
 */
#ifndef BATCHFS_POSTGRES_SCHEMA_H
#define BATCHFS_POSTGRES_SCHEMA_H

#include "backend/postgres/pgstore.h"

/*
 * By the control thread, connected. Makes the schema or brings it up to date (never with -o ro), checks that
 * the role may use it, and fills s->schema and s->identity. -EACCES: a right is missing, *err names the
 * GRANT; -EBUSY: a mount runs by an older version; -EINVAL: a newer one, or not ours.
 */
int schema_open(struct store *s, struct error *err);

#endif

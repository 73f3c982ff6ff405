/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a model in the project, which dbt builds, against the one that the manifest was made from. */
#ifndef BATCHFS_DBT_SOURCE_H
#define BATCHFS_DBT_SOURCE_H

#include "backend/base/error.h"
#include "backend/manifest.h"

/* What the sentence says; the batch is tried again: the manifest may be about to be read. */
#define SOURCE_MOVED "is not what the manifest was made from"

/*
 * -ESTALE: the file holds something else than the manifest was made from, so that dbt would build other SQL
 * than the mount shows and records. 0: it does not, or nobody can tell (the file of a package, one that is
 * not there, a dbt whose checksums are not known).
 */
int source_check(const char *project, const struct model *m, struct error *err);

#endif

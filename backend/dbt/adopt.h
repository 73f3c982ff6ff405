/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt=FILE: a run_results.json of dbt's, which says in the place of the first look at a table which of its
 * batches are built. Only the tables that nobody has ever looked at are met so; what it says is not
 * compared with the table until somebody touches .adopt.
 */
#ifndef BATCHFS_DBT_ADOPT_H
#define BATCHFS_DBT_ADOPT_H

#include "backend/builder.h"
#include "backend/dbt/home.h"

/* -EINVAL: it is none; *err names the file, the key and the value. -errno: it cannot be read. */
int adopt_check(const char *path, struct error *err);

/* What the file says of the model. False: nothing, and the table is to be looked at. A failure: as above. */
int adopt_read(const char *path, const struct log *log, const struct model *m, struct found_windows *out,
	       bool *told, struct error *err);

/* As a member of struct guest_ops. */
int dbt_adopt(struct guest *g, const struct model *m, struct found_windows *out, bool *told,
	      struct error *err);

#endif

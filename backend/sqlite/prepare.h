/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SQLITE_PREPARE_H
#define BATCHFS_SQLITE_PREPARE_H

#include "backend/sqlite/warehouse.h"

/* Enters the table into batchfs_model under this id and marks it; inside a transaction. */
int target_register(struct worker *w, const struct model *m, int64_t id, struct error *err);

#endif

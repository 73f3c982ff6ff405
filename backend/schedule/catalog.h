/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_CATALOG_H
#define BATCHFS_SCHEDULE_CATALOG_H

#include "backend/backend.h"

struct catalog;

/* With the lock. Takes the catalog over, also on failure (-ENOMEM: as before). */
int backend_swap(struct backend *b, struct catalog *catalog, struct error *err);

#endif

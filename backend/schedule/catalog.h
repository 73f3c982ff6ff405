/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_CATALOG_H
#define BATCHFS_SCHEDULE_CATALOG_H

#include "backend/backend.h"

struct catalog;

/*
 * Makes it the current one: its models get their slots, the store learns of them, what is recorded of new
 * ones is loaded, and the listener is told. On the control thread (or before there is one), without the lock.
 * Takes the catalog over, also on failure; after that everything is as before.
 */
int catalog_take_over(struct backend *b, struct catalog *catalog, struct error *err);

/* On the control thread: what the reloader has read, if it has. A failure is the warehouse's: it is tried
 * again. */
int catalog_take_coming(struct backend *b, struct error *err);

#endif

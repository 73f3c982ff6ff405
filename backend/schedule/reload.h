/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_RELOAD_H
#define BATCHFS_SCHEDULE_RELOAD_H

#include "backend/backend.h"

struct known_sql;

void *reloader_main(void *backend);

/*
 * Reads the manifest. What it comes without is taken from the catalog (NULL: there is none), else from what
 * the store remembers (NULL: it was not asked). Without the lock; both are the caller's.
 */
int reload_with(struct backend *b, const struct catalog *current, const struct known_sql *known,
		const char *path, struct catalog **out, struct error *err);

/* Any thread, with or without the lock. */
void reloader_wake(struct backend *b);

#endif

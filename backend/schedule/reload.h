/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_RELOAD_H
#define BATCHFS_SCHEDULE_RELOAD_H

#include "backend/backend.h"

void *reloader_main(void *backend);

/* Any thread, with or without the lock. */
void reloader_wake(struct backend *b);

#endif

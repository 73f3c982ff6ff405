/* SPDX-License-Identifier: Apache-2.0 */
/* The sentence for a request that a freeze refuses. Pure. */
#ifndef BATCHFS_FREEZE_H
#define BATCHFS_FREEZE_H

#include "backend/store.h"

/* "uid 1000 (chmod) at 2024-09-04T12:00:00Z"; the command only where it is known. */
#define FREEZE_WHO_MAX 80
void freeze_who(uint32_t uid, const char *command, int64_t at, char buf[FREEZE_WHO_MAX]);

/* Fills *err: what is frozen, by whom, since when, how to thaw it. Returns -EPERM. */
int freeze_refuses(struct error *err, const struct model *m, const struct store_freeze *f, ordinal batch);

/* Fills *err: what runs, so that it cannot be frozen. Returns -EBUSY. */
int freeze_busy(struct error *err, const struct model *m, ordinal batch);

#endif

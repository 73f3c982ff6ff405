/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two graces by which a suffixed name resolves although the batch is no longer
 * in that state: a name by which a request was accepted, for an hour; `.queued` and
 * `.running`, until 30 s after the batch has settled (`.queued` when it runs meanwhile, so that
 * `for f in *.queued; do sync $f; done` meets no ENOENT). For stat, cat and sync only.
 * Bounded: beyond NAME_GRACES_MAX batches the oldest grace ends early. Thread-safe.
 */
#ifndef BATCHFS_FS_NAME_GRACE_H
#define BATCHFS_FS_NAME_GRACE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "backend/calendar.h"
#include "backend/slot.h"

#define NAME_GRACES_MAX	       65536
#define NAME_GRACE_ACCEPTED_US (3600 * INT64_C(1000000))
#define NAME_GRACE_SETTLED_US  (30 * INT64_C(1000000))

struct name_grace;
TAILQ_HEAD(name_grace_list, name_grace);

/* Times are of CLOCK_MONOTONIC. */
struct name_graces {
	pthread_mutex_t lock; /* for everything below; innermost */
	struct name_grace *by_batch;
	struct name_grace_list by_age; /* least recently touched first */
	unsigned count;
};

void name_graces_init(struct name_graces *c);
void name_graces_fini(struct name_graces *c);

/* A request by that suffixed name was accepted. */
void name_grace_accepted(struct name_graces *c, slot model, ordinal batch, uint8_t suffix, int64_t now_us);

/* The batch was seen queued or running (busy), or was seen not to be. */
void name_grace_seen(struct name_graces *c, slot model, ordinal batch, bool busy, int64_t now_us);

/* For how many us more that name resolves; 0: it does not. */
int64_t name_grace_left(struct name_graces *c, slot model, ordinal batch, uint8_t suffix, int64_t now_us);

#endif

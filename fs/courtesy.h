/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two courtesies by which a suffixed name resolves although the batch is no longer
 * in that state: a name by which a request was accepted, for an hour; `.queued` and
 * `.running`, until 30 s after the batch has settled (`.queued` when it runs meanwhile, so that
 * `for f in *.queued; do sync $f; done` meets no ENOENT). For stat, cat and sync only.
 * Bounded: beyond COURTESIES_MAX batches the oldest courtesy ends early. Thread-safe.
 */
#ifndef BATCHFS_FS_COURTESY_H
#define BATCHFS_FS_COURTESY_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "backend/calendar.h"
#include "backend/slot.h"

#define COURTESIES_MAX	     65536
#define COURTESY_ACCEPTED_US (3600 * INT64_C(1000000))
#define COURTESY_SETTLED_US  (30 * INT64_C(1000000))

struct courtesy;
TAILQ_HEAD(courtesy_list, courtesy);

/* Times are of CLOCK_MONOTONIC. */
struct courtesies {
	pthread_mutex_t lock; /* for everything below; innermost */
	struct courtesy *by_batch;
	struct courtesy_list by_age; /* least recently touched first */
	unsigned count;
};

void courtesies_init(struct courtesies *c);
void courtesies_fini(struct courtesies *c);

/* A request by that suffixed name was accepted. */
void courtesy_accepted(struct courtesies *c, slot model, ordinal batch, uint8_t suffix, int64_t now_us);

/* The batch was seen queued or running (busy), or was seen not to be. */
void courtesy_seen(struct courtesies *c, slot model, ordinal batch, bool busy, int64_t now_us);

/* For how many us more that name resolves; 0: it does not. */
int64_t courtesy_left(struct courtesies *c, slot model, ordinal batch, uint8_t suffix, int64_t now_us);

#endif

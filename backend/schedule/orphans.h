/* SPDX-License-Identifier: Apache-2.0 */
/* What waits for a model, a batch or an SQL that a former manifest had. */
#ifndef BATCHFS_SCHEDULE_ORPHANS_H
#define BATCHFS_SCHEDULE_ORPHANS_H

#include <sys/queue.h>

#include "backend/backend.h"
#include "backend/manifest.h"

/* A model whose SQL is another one since. */
struct recode {
	STAILQ_ENTRY(recode) link;
	slot model;
	char was[sizeof(((struct model *)0)->code)];
};
STAILQ_HEAD(recode_list, recode);

/* With the lock. No memory: what waits for the former SQL is found to be an orphan. */
void orphans_recode(struct backend *b, slot model, const char *was);

/* On the control thread, without the lock: gives what was asked for with former SQL the present one, and
 * queues the end of what waits for nothing that any mount that lives can build. */
int orphans_settle(struct backend *b, struct error *err);

/* With the lock. */
void orphans_fini(struct backend *b);

#endif

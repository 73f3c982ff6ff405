/* SPDX-License-Identifier: Apache-2.0 */
/* Histories that are open: their texts, and who waits for them. */
#ifndef BATCHFS_SCHEDULE_HISTORY_H
#define BATCHFS_SCHEDULE_HISTORY_H

#include <sys/queue.h>

#include "backend/backend.h"
#include "backend/base/strbuf.h"
#include "backend/store.h"

/* Somebody waits until the history of a model is up to date. */
struct history_ask {
	STAILQ_ENTRY(history_ask) link;
	slot model;
	struct backend_history *history; /* open for as long as this is not answered */
	void (*done)(void *ctx, int result);
	void *ctx;
};
STAILQ_HEAD(history_asks, history_ask);

struct backend_history {
	LIST_ENTRY(backend_history) link;
	struct backend *b; /* immutable */
	slot model;	   /* immutable; -1: of all */
	unsigned readers;  /* the lane is one while it works on it */
	struct strbuf text;
	char *cursor;	    /* the lane's, while it is a reader; NULL: nothing read yet */
	uint64_t changes;   /* of the model, or of all, when it was last read */
	int64_t not_before; /* monotonic: not read again earlier, unless somebody waits */
};
LIST_HEAD(history_list, backend_history);

#define HISTORY_BYTES	(8u << 20)  /* of text; beyond it the older half goes */
#define HISTORIES_BYTES (64u << 20) /* of all that are open: each has its share */
#define HISTORY_LEAST	(64u << 10)

/* How long the text was when it was last read. */
struct history_size {
	size_t bytes;
	uint64_t changes; /* as in backend_history */
	bool known;	  /* there was such a time */
};

uint64_t history_changes(const struct backend *b, slot model); /* with the lock: rises with every attempt */
struct backend_history *history_find(const struct backend *b, slot model); /* with the lock; NULL: not open */
int history_append(struct backend_history *h, const struct strbuf *lines); /* with the lock; -ENOMEM */
/* With the lock. An attempt of this mount has ended, or batches that were queued have, and the store has it
 * recorded: it is counted, and its history has a line more. */
void attempt_ended(struct backend *b, const struct store_outcome *o);

#endif

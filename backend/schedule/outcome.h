/* SPDX-License-Identifier: Apache-2.0 */
/* How an attempt ended, or what became of a batch that waited, on its way to the store. */
#ifndef BATCHFS_SCHEDULE_OUTCOME_H
#define BATCHFS_SCHEDULE_OUTCOME_H

#include <sys/queue.h>

#include "backend/backend.h"
#include "backend/engine.h"

struct ledger_waiting;
struct requester;

struct outcome {
	STAILQ_ENTRY(outcome) link;
	struct store_outcome out;
	struct error err; /* what out's texts point to */
	char code[17];	  /* what out's code points to */
	unsigned weight;  /* of a failure: builder.h */
	bool too_late;	  /* done although a cancel was meant, which answers every request up to `answered` */
	int64_t answered;
	enum settle_kind
		spared; /* of an attempt that was cancelled: what its end is where the cancel spares it */
	bool shown;	/* the ledger has it, and who waits for it was told */
	bool put_back;	/* of a single batch that was claimed before: it stays alone */
	bool of_all;	/* err is what no batch of the model can be built for */
};
STAILQ_HEAD(outcome_queue, outcome);

/* NULL: no memory, which was logged. err may be NULL: no texts. */
struct outcome *outcome_new(const struct backend *b, const struct store_outcome *out,
			    const struct error *err);
void outcome_add(struct backend *b, const struct build_report *r, const struct build_run *run,
		 enum settle_kind kind);
void outcome_add_locked(struct backend *b, const struct build_report *r, const struct build_run *run,
			enum settle_kind kind); /* with the lock */
/* Built, and to be recorded by the store; code: what it was built with. */
void outcome_done(struct backend *b, const struct build_report *r, const struct build_run *run,
		  const char *code);
/* With the lock, until which it may still be joined. */
struct outcome *outcome_queue(struct backend *b, const struct store_outcome *out, const struct error *err);
/*
 * Lengthens the last outcome by what waits beside it and was asked for by the same person (by: of `last`).
 * All of them are answered up to the newest request of any, apart from what nobody here knew of (store.h).
 */
bool outcome_join(struct outcome *last, const struct requester *by, const struct ledger_waiting *w);

#endif

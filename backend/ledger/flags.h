/* SPDX-License-Identifier: Apache-2.0 */
/* What waits and runs, as bits: one word a chunk of batches for each flag. */
#ifndef BATCHFS_LEDGER_FLAGS_H
#define BATCHFS_LEDGER_FLAGS_H

#include "backend/ledger/chunk.h"

struct model_state;

/* What a scan looks for. */
enum mark {
	MARK_UNSETTLED, /* queued, claimed or running */
	MARK_WAITING,	/* queued, and nobody has claimed it or runs it */
	MARK_HOPEFUL,	/* waits, and is not about to be skipped */
	MARK_REQUEUED,
	MARK_CLAIMED,
	MARK_RUNNING,
	MARK_ACTIVE, /* claimed or running */
	MARK_WRONG,  /* failed or skipped, and not asked for again */
};

bool marked(const struct model_state *m, enum mark mark, ordinal batch);
ordinal mark_next(const struct ledger *l, const struct model_state *m, enum mark mark, ordinal from,
		  ordinal end);
ordinal mark_gap(const struct ledger *l, const struct model_state *m, enum mark mark, ordinal from,
		 ordinal end);
/* Of a batch before cells_reach(). The counters follow. */
void flags_set(struct model_state *m, ordinal batch, bool queued, bool claimed, bool running);
void flags_requeue(struct model_state *m, ordinal batch, bool requeued);
/* All flags of a chunk at once. */
void flags_put(struct model_state *m, size_t chunk, struct flags now);
/* The bits of the chunk that lie in the range. */
uint32_t chunk_mask(const struct model_state *m, size_t chunk, struct ordinal_range batches);
/* The range in chunks, as far as there are any: [first, end). */
struct chunk_range {
	size_t first, end;
};
struct chunk_range chunks_of(const struct model_state *m, struct ordinal_range batches);

/* Of a batch before cells_reach(): not reported again yet. */
bool unsure(const struct model_state *m, ordinal batch);
void make_sure(struct model_state *m, ordinal batch);

#endif

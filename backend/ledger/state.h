/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the ledger keeps a million batches small and a hundred thousand waiting ones cheap to look through: a
 * cell of 28 bytes for what is built, in chunks that come on demand (none for batches that only wait, or that
 * nobody ever asked for); what waits and runs as bits, one word a chunk; what few batches have (an error's
 * text, a running attempt) in a side table; who asked, why and with which code shared, and freed with the
 * last that names them. Each has a header of its own; here is what holds them together.
 *
 * Invariants
 *   flags.queued   == flags.requeued, or the bit of the batch is set in an open request
 *   model.queued   == number of batches that are queued and not claimed
 *   model.running  == number of batches that are claimed or running
 *   model.requeued == number of batches that are requeued
 *   cell.detail   <=> details has an entry for the batch
 *   origin.refs    == number of cells with its index
 */
#ifndef BATCHFS_LEDGER_STATE_H
#define BATCHFS_LEDGER_STATE_H

#include "backend/ledger/cover.h"
#include "backend/ledger/details.h"
#include "backend/ledger/freezes.h"
#include "backend/ledger/ids.h"
#include "backend/ledger/open_request.h"
#include "backend/ledger/shown.h"

struct chunk;
struct code_entry;
struct flags;
struct recorded_request;
struct origin;
struct requester_entry;

struct model_state {
	enum batch_size size;
	char code[sizeof(((struct model *)0)->code)];
	ordinal begin; /* chunk 0 starts here */
	/* n_chunks of each. */
	struct chunk **chunks; /* NULL entries: nothing known but the flags */
	struct flags *flags;
	int64_t *built; /* no batch of the chunk was built later */
	size_t n_chunks;
	struct request_list requests; /* by seq, rising */
	unsigned levels[LEVELS];      /* open requests by their level (cover.c) */
	size_t queued, running, requeued;
	bool unlooked; /* nobody has looked at the table: what is not built in it is not known either */
	int64_t turn;  /* seq of the request that had the last turn */
	int64_t latest_build;
	int64_t average_us, average_rows;
	struct freeze *freezes; /* rising, none overlaps another */
	size_t n_freezes, freezes_size;
	struct freezer protected;
	struct ledger_refresh refresh;
	char *refresh_error;
	bool refresh_unsure; /* not reported again yet */
};

struct ledger {
	struct model_state **models; /* by slot; an entry never moves */
	slot end;
	struct recorded_request *recorded;
	size_t recorded_before; /* when closed ones were forgotten last */
	struct requester_entry *requesters;
	struct code_entry *codes;
	struct code_entry
		*last_code; /* what was asked for last is often asked for next; it may be gone: NULL */
	struct origin *by_key;
	struct origin **origins; /* by index, NULL: free; [0] is never used */
	size_t n_origins, origins_size;
	uint32_t *free_origins;
	size_t n_free, free_size;
	uint32_t last_origin;
	struct bucket *buckets;
	struct answer *shown; /* answers that batches show, by their keys */
	struct detail *details;
	/* Oldest first. Texts in memory are bounded, of both kinds together. */
	struct detail_list texts;
	struct answer_list answers;
	size_t n_texts;		 /* in both */
	size_t open;		 /* requests of which something is left to build */
	struct id_list finished; /* requests with nothing left to build */
	struct id_list unseen;	 /* answers that no batch shows any more */
	uint64_t looked_at;	 /* chunks' flags that scans have read: what planning costs, for tests */
};

static inline struct model_state *model_state_of(const struct ledger *l, slot model)
{
	return l->models[model];
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A model's batches in chunks: what is kept of each chunk as bits. */
#ifndef BATCHFS_LEDGER_CHUNK_H
#define BATCHFS_LEDGER_CHUNK_H

#include "backend/ledger.h"

#define CELLS_A_CHUNK 32

/* One bit for each batch of a chunk. */
struct flags {
	uint32_t queued;
	uint32_t requeued;
	uint32_t claimed; /* by this mount, not begun */
	uint32_t running;
	uint32_t skipping; /* an outcome is on its way to the store */
	uint32_t wrong;	   /* the outcome is failed or skipped */
	uint32_t unsure;   /* between ledger_restart() and ledger_restarted(): not reported again yet */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a batch that was built, failed or was skipped: 28 bytes, in chunks that come on demand. */
#ifndef BATCHFS_LEDGER_CELLS_H
#define BATCHFS_LEDGER_CELLS_H

#include "backend/ledger/chunk.h"

struct model_state;

#define ROWS_UNKNOWN UINT32_MAX

/* Read and written through cell_finished() and its neighbours. */
struct cell {
	uint32_t finished_low;
	uint32_t finished_high : 20; /* us since 1970, good until 2112 */
	uint32_t outcome : 2;	     /* enum row_outcome */
	uint32_t adopted : 1;
	uint32_t partial : 1; /* done, and begun before the window had closed */
	uint32_t detail : 1;
	uint32_t spare : 7;
	uint32_t duration_ms;
	uint32_t attempt;
	uint32_t origin; /* index into the ledger's origins; 0: nobody has asked yet */
	union {
		struct {
			uint32_t rows_inserted, rows_deleted; /* ROWS_UNKNOWN: not known, or in the detail */
		};
		struct {
			uint32_t built_low,
				built_high; /* where the outcome is not done: the last build's end */
		};
	};
};

struct chunk {
	struct cell cells[CELLS_A_CHUNK];
};

struct cell *cell_find(const struct model_state *m, ordinal batch); /* NULL: nothing known */
struct cell *cell_make(struct model_state *m, ordinal batch);	    /* NULL: no memory, or before begin */
bool cells_reach(struct model_state *m, ordinal end); /* flags for all before end; false: no memory */
int64_t cell_finished(const struct cell *c);
void cell_set_finished(struct cell *c, int64_t us);
int64_t cell_built(const struct cell *c); /* the end of the last build, whatever came after; 0: none */
void cell_set_built(struct model_state *m, struct cell *c, ordinal batch, int64_t us); /* not of a done one */
void chunk_built(struct model_state *m, ordinal batch, int64_t us);
void cell_set_outcome(struct model_state *m, struct cell *c, ordinal batch, enum row_outcome outcome);

#endif

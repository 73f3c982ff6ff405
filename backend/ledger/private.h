/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the ledger keeps a million batches small: a cell of 24 bytes for what is
 * built, in chunks that come on demand (none for batches nobody ever asked for);
 * what few batches have (an error's text, a running attempt) lies in side tables.
 *
 * Invariants
 *   cell.queued   <=> cell.requeued, or the bit of the batch is set in an open request
 *   model.queued  == number of cells with queued and not claimed
 *   model.running == number of cells with claimed or running
 *   model.requeued == number of cells with requeued
 *   cell.detail   <=> details has an entry for the batch
 */
#ifndef BATCHFS_LEDGER_PRIVATE_H
#define BATCHFS_LEDGER_PRIVATE_H

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* A table that cannot grow is no reason to abort a file system. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "backend/ledger.h"

#define CELLS_A_CHUNK 32
#define ROWS_UNKNOWN  UINT32_MAX

struct cell {
	uint64_t finished : 52; /* us since 1970, good until 2112 */
	uint64_t outcome : 2;	/* enum row_outcome */
	uint64_t adopted : 1;
	uint64_t partial : 1; /* done, and begun before the window had closed */
	uint64_t queued : 1;
	uint64_t requeued : 1;
	uint64_t claimed : 1; /* by this mount, not begun */
	uint64_t running : 1;
	uint64_t detail : 1;
	uint64_t leaving : 1; /* to be skipped: an outcome is on its way to the store */
	uint64_t spare : 2;
	uint32_t duration_ms;
	uint32_t rows_inserted, rows_deleted; /* ROWS_UNKNOWN: not known, or in the detail */
	uint16_t attempt;		      /* saturates */
	uint16_t origin;		      /* index into the model's origins; 0: nobody has asked yet */
};

struct chunk {
	struct cell cells[CELLS_A_CHUNK];
};

/* Who asked for a build and with which code it was built. */
struct origin {
	const struct requester *by; /* NULL: not known */
	const char *code;	    /* the ledger's */
};

/* Who froze something, and when. by NULL: nobody. */
struct freezer {
	const struct requester *by;
	int64_t at;
};

struct freeze {
	struct ordinal_range batches;
	struct freezer who;
};

struct open_request {
	TAILQ_ENTRY(open_request) link;
	struct known_request *known;
	int64_t seq;
	struct ordinal_range batches;
	size_t remaining; /* bits set in wanted */
	size_t hint;	  /* no bit is set before it */
	unsigned char wanted[];
};

struct model_state {
	enum batch_size size;
	char code[sizeof(((struct model *)0)->code)];
	ordinal begin;	       /* chunk 0 starts here */
	struct chunk **chunks; /* NULL entries: nothing known */
	size_t n_chunks;
	TAILQ_HEAD(request_list, open_request) requests; /* by seq, rising */
	size_t queued, running, requeued;
	ordinal requeued_hint; /* no batch that was put back lies before it */
	int64_t turn;	       /* seq of the request that had the last turn */
	int64_t latest_build;
	struct origin *origins;
	uint16_t n_origins;
	int64_t average_us;
	struct freeze *freezes; /* rising, none overlaps another */
	size_t n_freezes, freezes_size;
	struct freezer protected;
};

/* A request by its id, also when nothing of it is left to build. */
struct known_request {
	int64_t id;
	slot model;
	struct ordinal_range batches;
	bool open;
	bool finished; /* nothing of it is left: its row, read before it was retired, does not open it again
			*/
	bool foreign;  /* made for other SQL than the model has here */
	int64_t at;
	const struct requester *by;
	char last_failure[6]; /* SQLSTATE */
	unsigned equal_failures;
	UT_hash_handle hh;
};

struct requester_entry {
	struct requester by;
	char command[64];
	char *reason; /* NULL: none */
	char *key;    /* all three as one text */
	UT_hash_handle hh;
};

struct code_entry {
	UT_hash_handle hh;
	char code[];
};

struct batch_key {
	uint32_t model;
	ordinal batch;
};

/* What few batches have. */
struct detail {
	struct batch_key key;
	int64_t started;	    /* of the attempt that runs; 0: none does */
	uint32_t attempt;	    /* the claimed or running one */
	const struct requester *by; /* of the claimed or running attempt */
	int64_t request;	    /* that it was claimed for, also when it was put back; 0: none */
	int64_t built;		    /* last successful build, where the outcome is none or not done */
	int64_t rows_inserted, rows_deleted, rows_outside; /* -1: as the cell says (outside: 0) */
	char sqlstate[6];
	char *message; /* NULL: none */
	UT_hash_handle hh;
};

struct ledger {
	struct model_state **models; /* by slot; an entry never moves */
	slot end;
	struct known_request *known;
	struct requester_entry *requesters;
	struct code_entry *codes;
	struct detail *details;
	size_t n_messages;
	int64_t *finished; /* ids to hand over */
	size_t n_finished, finished_size;
};

static inline struct model_state *model_state_of(const struct ledger *l, slot model)
{
	return l->models[model];
}

/* cells.c */
struct cell *cell_find(const struct model_state *m, ordinal batch); /* NULL: nothing known */
struct cell *cell_make(struct model_state *m, ordinal batch);	    /* NULL: no memory, or before begin */
void cell_flags(struct model_state *m, struct cell *c, bool queued, bool claimed, bool running);
void cell_requeue(struct model_state *m, struct cell *c, ordinal batch, bool requeued);

/* details.c */
struct detail *detail_find(const struct ledger *l, slot model, ordinal batch);
struct detail *detail_make(struct ledger *l, slot model, ordinal batch, struct cell *c);
void detail_drop(struct ledger *l, struct detail *d, struct cell *c);
void detail_message(struct ledger *l, struct detail *d, const char *sqlstate, const char *message);
void details_forget(struct ledger *l, slot model);

/* origins.c */
const struct requester *requester_intern(struct ledger *l, uint32_t uid, const char *command,
					 const char *reason);
uint16_t origin_intern(struct ledger *l, struct model_state *m, const struct requester *by, const char *code);
struct known_request *known_find(const struct ledger *l, int64_t id);
struct known_request *known_make(struct ledger *l, const struct store_request_row *r);
void origins_free(struct ledger *l);

/* requests.c */
bool request_has(const struct open_request *r, ordinal batch); /* whether it still waits for it */
bool request_wants(const struct model_state *m, ordinal batch, int64_t *request, int64_t *seq);
void request_serve(struct ledger *l, struct model_state *m, ordinal batch, int64_t served);
void requests_free(struct model_state *m);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the ledger keeps a million batches small and a hundred thousand waiting ones cheap to look through: a
 * cell of 28 bytes for what is built, in chunks that come on demand (none for batches that only wait, or that
 * nobody ever asked for); what waits and runs as bits, one word a chunk; what few batches have (an error's
 * text, a running attempt) in a side table; who asked, why and with which code shared, and freed with the
 * last that names them.
 *
 * Invariants
 *   flags.queued   == flags.requeued, or the bit of the batch is set in an open request
 *   model.queued   == number of batches that are queued and not claimed
 *   model.running  == number of batches that are claimed or running
 *   model.requeued == number of batches that are requeued
 *   cell.detail   <=> details has an entry for the batch
 *   origin.refs    == number of cells with its index
 */
#ifndef BATCHFS_LEDGER_PRIVATE_H
#define BATCHFS_LEDGER_PRIVATE_H

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "backend/base/hash.h"
#include "backend/ledger.h"

#define CELLS_A_CHUNK 32
#define ROWS_UNKNOWN  UINT32_MAX

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

/* A range that was answered without being built, as long as one of its batches shows that. Read anew, after
 * recorded commits were lost, an id may be another's: the times tell. */
struct answer_key {
	int64_t id, served, at;
};

struct answer {
	struct answer_key key;
	char *message; /* NULL: none, or it was dropped */
	unsigned refs; /* origins */
	TAILQ_ENTRY(answer) with_text;
	UT_hash_handle hh;
};

/* Shared by requesters' and codes' users; refs says how many there are. */
struct requester_entry {
	struct requester by; /* first */
	char command[64];
	char *reason; /* NULL: none */
	char *key;    /* all three as one text */
	unsigned refs;
	UT_hash_handle hh;
};

struct code_entry {
	UT_hash_handle hh;
	unsigned refs;
	char code[];
};

/* Who asked for a build, with which code it was built, and in which answer it was skipped. */
struct origin_key {
	const struct requester *by; /* NULL: not known */
	struct code_entry *code;
	struct answer *answer; /* NULL: not skipped, or as a single batch */
};

struct origin {
	struct origin_key key;
	uint32_t index, refs;
	UT_hash_handle hh;
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

/* Where the index over open requests (cover.c) has a request: in one or two buckets of its level. */
struct spot {
	LIST_ENTRY(spot) link;
	struct bucket *bucket; /* NULL: in none */
	struct open_request *request;
};

struct bucket_key {
	uint32_t model, level, index;
};

struct bucket {
	struct bucket_key key;
	LIST_HEAD(spot_list, spot) spots;
	UT_hash_handle hh;
};

struct open_request {
	TAILQ_ENTRY(open_request) link;
	struct known_request *known;
	int64_t seq;
	struct ordinal_range batches;
	struct spot spots[2];
	size_t remaining;     /* bits set in wanted */
	size_t chunk;	      /* of the first word */
	ordinal start;	      /* the first batch of that chunk */
	size_t n_words, hint; /* no bit is set in a word before the hint */
	uint32_t wanted[];
};

#define LEVELS 33

struct model_state {
	enum batch_size size;
	char code[sizeof(((struct model *)0)->code)];
	ordinal begin; /* chunk 0 starts here */
	/* n_chunks of each. */
	struct chunk **chunks; /* NULL entries: nothing known but the flags */
	struct flags *flags;
	int64_t *built; /* no batch of the chunk was built later */
	size_t n_chunks;
	TAILQ_HEAD(request_list, open_request) requests; /* by seq, rising */
	unsigned levels[LEVELS];			 /* open requests by their level (cover.c) */
	size_t queued, running, requeued;
	int64_t turn; /* seq of the request that had the last turn */
	int64_t latest_build;
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
	struct open_request *open; /* NULL: nothing of it is left, or it was closed when it was reported */
	bool finished; /* nothing of it is left: its row, read before it was retired, does not open it again
			*/
	bool unsure;   /* as a batch's flag: not reported again yet */
	bool foreign;  /* made for other SQL than the model has here */
	unsigned refs; /* details that name it */
	int64_t at;
	const struct requester *by;
	char last_failure[6]; /* SQLSTATE */
	unsigned equal_failures;
	UT_hash_handle hh;
};

struct batch_key {
	uint32_t model;
	ordinal batch;
};

/* What few batches have. */
struct detail {
	struct batch_key key;
	int64_t started;	       /* of the attempt that runs; 0: none does */
	uint32_t attempt;	       /* the claimed or running one; 0: none is */
	const struct requester *by;    /* of the claimed or running attempt */
	struct known_request *request; /* that it was claimed for, also when it was put back; NULL: none */
	int64_t rows_inserted, rows_deleted, rows_outside; /* -1: as the cell says (outside: 0) */
	char sqlstate[6];
	char *message;		       /* NULL: none */
	TAILQ_ENTRY(detail) with_text; /* where there is a message or an sqlstate */
	UT_hash_handle hh;
};

TAILQ_HEAD(detail_list, detail);
TAILQ_HEAD(answer_list, answer);

/* Ids to hand over. */
struct id_list {
	int64_t *ids;
	size_t n, size;
};

struct ledger {
	struct model_state **models; /* by slot; an entry never moves */
	slot end;
	struct known_request *known;
	size_t known_before; /* when closed ones were forgotten last */
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
	struct id_list finished; /* requests with nothing left to build */
	struct id_list unseen;	 /* answers that no batch shows any more */
	uint64_t looked_at;	 /* chunks' flags that scans have read: what planning costs, for tests */
};

static inline struct model_state *model_state_of(const struct ledger *l, slot model)
{
	return l->models[model];
}

/* ledger.c: what this mount knows to be the last that happened to the batch. */
int state_put(struct ledger *l, const struct store_state *s);

/* cells.c */
struct cell *cell_find(const struct model_state *m, ordinal batch); /* NULL: nothing known */
struct cell *cell_make(struct model_state *m, ordinal batch);	    /* NULL: no memory, or before begin */
bool cells_reach(struct model_state *m, ordinal end); /* flags for all before end; false: no memory */
int64_t cell_finished(const struct cell *c);
void cell_set_finished(struct cell *c, int64_t us);
int64_t cell_built(const struct cell *c); /* the end of the last build, whatever came after; 0: none */
void cell_set_built(struct model_state *m, struct cell *c, ordinal batch, int64_t us); /* not of a done one */
void chunk_built(struct model_state *m, ordinal batch, int64_t us);
void cell_set_outcome(struct model_state *m, struct cell *c, ordinal batch, enum row_outcome outcome);

/* flags.c */
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

/* details.c */
struct detail *detail_find(const struct ledger *l, slot model, ordinal batch);
struct detail *detail_make(struct ledger *l, slot model, ordinal batch, struct cell *c);
void detail_drop(struct ledger *l, struct detail *d, struct cell *c);
void detail_drop_empty(struct ledger *l, struct detail *d, struct cell *c);
void detail_claim(struct ledger *l, struct detail *d, uint32_t attempt, const struct requester *by,
		  struct known_request *request);
void detail_message(struct ledger *l, struct detail *d, const char *sqlstate, const char *message);
void details_forget(struct ledger *l, slot model); /* -1: all */
void texts_trim(struct ledger *l);

/* requesters.c. Interned with a reference for the caller; NULL: no memory. NULL is fine for the others. */
const struct requester *requester_intern(struct ledger *l, uint32_t uid, const char *command,
					 const char *reason);
const struct requester *requester_ref(const struct requester *by);
void requester_unref(struct ledger *l, const struct requester *by);
struct code_entry *code_intern(struct ledger *l, const char *code);
void code_unref(struct ledger *l, struct code_entry *code);
/* Takes `by` over into *where. */
void requester_set(struct ledger *l, const struct requester **where, const struct requester *by);

/* origins.c. The cell refers to what is given from then on. No memory: who asked is not known. */
void cell_set_origin(struct ledger *l, struct cell *c, const struct requester *by, const char *code,
		     struct answer *answer);
void cell_drop_origin(struct ledger *l, struct cell *c);
const struct origin_key *origin_of(const struct ledger *l, const struct cell *c); /* never NULL */
void origins_free(struct ledger *l);

/* freezes.c */
void freezes_free(struct ledger *l, struct model_state *m);

/* answers.c */
void answer_unref(struct ledger *l, struct answer *a);

/* known.c */
struct known_request *known_find(const struct ledger *l, int64_t id);
struct known_request *known_make(struct ledger *l, const struct store_request_row *r);
void known_forget(struct ledger *l, struct known_request *k); /* not open, and no detail names it */
void known_free(struct ledger *l);
void ids_add(struct id_list *list, int64_t id);
size_t ids_take(struct id_list *list, int64_t *ids, size_t n);

/* cover.c: which open requests cover a batch, without looking at the others. */
int cover_add(struct ledger *l, struct model_state *m, struct open_request *r);
void cover_remove(struct ledger *l, struct model_state *m, struct open_request *r);
struct cover {
	const struct ledger *l;
	const struct model_state *m;
	slot model;
	ordinal batch;
	unsigned level;
	struct spot *next;
};
/* Calls of cover_next() give those that cover the batch, in no order; what was given may be removed
 * meanwhile. */
struct cover cover_of(const struct ledger *l, slot model, ordinal batch);
struct open_request *cover_next(struct cover *c);

/* requests.c */
bool request_has(const struct open_request *r, ordinal batch);	  /* whether it still waits for it */
ordinal request_next(const struct open_request *r, ordinal from); /* the first it waits for, or its end */
ordinal request_gap(const struct open_request *r, ordinal from);  /* the first it does not wait for */
struct open_request *request_newest(const struct ledger *l, slot model, ordinal batch); /* that wants it */
void request_serve(struct ledger *l, slot model, ordinal batch, int64_t served);
/* The same for all of the range; its flags follow. */
void request_serve_range(struct ledger *l, slot model, struct ordinal_range batches, int64_t served);
void request_void(struct ledger *l,
		  struct known_request *k); /* it waits for nothing more; it may wait for nothing */
void requests_free(struct ledger *l, struct model_state *m);

/* restart.c. Of a batch before cells_reach(). */
bool unsure(const struct model_state *m, ordinal batch);
void make_sure(struct model_state *m, ordinal batch);
/* Of another life even what it asks for may differ. */
void request_renew(struct ledger *l, struct known_request *k, const struct store_request_row *r);

#endif

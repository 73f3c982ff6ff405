/* SPDX-License-Identifier: Apache-2.0 */
/* What few batches have: a running attempt, a text, rows beyond a cell's numbers. */
#ifndef BATCHFS_LEDGER_DETAILS_H
#define BATCHFS_LEDGER_DETAILS_H

#include <sys/queue.h>

#include "backend/base/hash.h"
#include "backend/ledger.h"

struct cell;
struct recorded_request;

struct batch_key {
	uint32_t model;
	ordinal batch;
};

struct detail {
	struct batch_key key;
	int64_t started;		  /* of the attempt that runs; 0: none does */
	uint32_t attempt;		  /* the claimed or running one; 0: none is */
	const struct requester *by;	  /* of the claimed or running attempt */
	struct recorded_request *request; /* that it was claimed for, also when it was put back; NULL: none */
	int64_t rows_inserted, rows_deleted, rows_outside; /* -1: as the cell says (outside: 0) */
	char sqlstate[6];
	char *message;		       /* NULL: none */
	TAILQ_ENTRY(detail) with_text; /* where there is a message or an sqlstate */
	UT_hash_handle hh;
};
TAILQ_HEAD(detail_list, detail);

struct detail *detail_find(const struct ledger *l, slot model, ordinal batch);
struct detail *detail_make(struct ledger *l, slot model, ordinal batch, struct cell *c);
void detail_drop(struct ledger *l, struct detail *d, struct cell *c);
void detail_drop_empty(struct ledger *l, struct detail *d, struct cell *c);
void detail_claim(struct ledger *l, struct detail *d, uint32_t attempt, const struct requester *by,
		  struct recorded_request *request);
void detail_message(struct ledger *l, struct detail *d, const char *sqlstate, const char *message);
void details_forget(struct ledger *l, slot model); /* -1: all */
/* Makes room for one more text, of a batch or of an answer: the oldest go. */
void texts_trim(struct ledger *l);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Requests by their ids, also when nothing of them is left to build: who asked and why. */
#ifndef BATCHFS_LEDGER_RECORDED_H
#define BATCHFS_LEDGER_RECORDED_H

#include "backend/base/hash.h"
#include "backend/ledger.h"

struct open_request;

struct recorded_request {
	int64_t id;
	slot model;
	struct ordinal_range batches;
	struct open_request *open; /* NULL: nothing of it is left, or it was closed when it was reported */
	bool finished; /* nothing of it is left: its row, read before it was retired, does not open it again
			*/
	/* Its row is open and names batches before the model's begin here: they are for a mount whose
	 * manifest has an earlier begin, which closes the row. Until then the request is remembered, since
	 * the row may be reported once more. */
	bool reaches_back;
	bool unsure;		 /* as a batch's flag: not reported again yet */
	bool foreign;		 /* made for other SQL than the model has here */
	struct code_entry *code; /* what it was made for; NULL: for whatever there is */
	unsigned refs;		 /* details that name it */
	int64_t at;
	const struct requester *by;
	char last_failure[17]; /* the key that equal failures have in common */
	unsigned equal_failures;
	UT_hash_handle hh;
};

struct recorded_request *recorded_find(const struct ledger *l, int64_t id); /* NULL: not known */
struct recorded_request *recorded_make(struct ledger *l, const struct store_request_row *r);
/* Whose SQL it was made for, as a row says. No memory: the model's. */
void recorded_set_code(struct ledger *l, struct recorded_request *k, const char *code);
void recorded_judge(const struct ledger *l, struct recorded_request *k); /* whether that is the model's */
void recorded_forget(struct ledger *l, struct recorded_request *k); /* not open, and no detail names it */
void recorded_free(struct ledger *l);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Who asked for a build, with which code it was built, and in which answer it was skipped. */
#ifndef BATCHFS_LEDGER_ORIGINS_H
#define BATCHFS_LEDGER_ORIGINS_H

#include "backend/base/hash.h"
#include "backend/ledger.h"

struct answer;
struct cell;
struct code_entry;

struct origin_key {
	const struct requester *by; /* NULL: not known */
	struct code_entry *code;
	struct answer *answer; /* NULL: its outcome is its own */
};

struct origin {
	struct origin_key key;
	uint32_t index, refs;
	UT_hash_handle hh;
};

/* The cell refers to what is given from then on. No memory: who asked is not known. */
void cell_set_origin(struct ledger *l, struct cell *c, const struct requester *by, const char *code,
		     struct answer *answer);
void cell_drop_origin(struct ledger *l, struct cell *c);
const struct origin_key *origin_of(const struct ledger *l, const struct cell *c); /* never NULL */
/* Whether its outcome, skipped or failed, is that of a range that was answered. */
bool cell_shows_answer(const struct ledger *l, const struct cell *c);
void origins_free(struct ledger *l);

#endif

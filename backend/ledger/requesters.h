/* SPDX-License-Identifier: Apache-2.0 */
/* Who asked and why, and the hashes of code: shared by all that name them, and freed with the last. */
#ifndef BATCHFS_LEDGER_REQUESTERS_H
#define BATCHFS_LEDGER_REQUESTERS_H

#include "backend/base/hash.h"
#include "backend/ledger.h"

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

/* Interned with a reference for the caller; NULL: no memory. NULL is fine for the others. */
const struct requester *requester_intern(struct ledger *l, uint32_t uid, const char *command,
					 const char *reason);
const struct requester *requester_ref(const struct requester *by);
void requester_unref(struct ledger *l, const struct requester *by);
struct code_entry *code_intern(struct ledger *l, const char *code);
void code_unref(struct ledger *l, struct code_entry *code);
/* Takes `by` over into *where. */
void requester_set(struct ledger *l, const struct requester **where, const struct requester *by);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Which open requests cover a batch, without looking at the others. */
#ifndef BATCHFS_LEDGER_COVER_H
#define BATCHFS_LEDGER_COVER_H

#include <sys/queue.h>

#include "backend/base/hash.h"
#include "backend/ledger.h"

struct model_state;
struct open_request;

#define LEVELS 33

/* Where the index has a request: in one or two buckets of its level. */
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

struct cover {
	const struct ledger *l;
	const struct model_state *m;
	slot model;
	ordinal batch;
	unsigned level;
	struct spot *next;
};

int cover_add(struct ledger *l, struct model_state *m, struct open_request *r);
void cover_remove(struct ledger *l, struct model_state *m, struct open_request *r);
/* Calls of cover_next() give those that cover the batch, in no order; what was given may be removed
 * meanwhile. */
struct cover cover_of(const struct ledger *l, slot model, ordinal batch);
struct open_request *cover_next(struct cover *c);

#endif

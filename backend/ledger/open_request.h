/* SPDX-License-Identifier: Apache-2.0 */
/* A request of which something is left to build, and which of its batches that is. */
#ifndef BATCHFS_LEDGER_OPEN_REQUEST_H
#define BATCHFS_LEDGER_OPEN_REQUEST_H

#include <sys/queue.h>

#include "backend/ledger/cover.h"

struct recorded_request;

struct open_request {
	TAILQ_ENTRY(open_request) link;
	struct recorded_request *recorded;
	int64_t seq;
	struct ordinal_range batches;
	struct spot spots[2];
	size_t remaining;     /* bits set in wanted */
	size_t chunk;	      /* of the first word */
	ordinal start;	      /* the first batch of that chunk */
	size_t n_words, hint; /* no bit is set in a word before the hint */
	uint32_t wanted[];
};
TAILQ_HEAD(request_list, open_request);

#endif

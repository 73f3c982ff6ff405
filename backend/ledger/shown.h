/* SPDX-License-Identifier: Apache-2.0 */
/* The answers that batches show: of a range that was skipped, one text for all. */
#ifndef BATCHFS_LEDGER_SHOWN_H
#define BATCHFS_LEDGER_SHOWN_H

#include <sys/queue.h>

#include "backend/base/hash.h"
#include "backend/ledger.h"

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
TAILQ_HEAD(answer_list, answer);

/* With a reference for the caller; NULL: no batch shows it. */
struct answer *answer_find(const struct ledger *l, const struct store_answer *row);
/* With a reference for the caller; NULL: no memory. There is room for its text (texts_trim()). */
struct answer *answer_make(struct ledger *l, const struct store_answer *row);
bool answer_drop_oldest_text(struct ledger *l); /* false: none has one */
void answer_unref(struct ledger *l, struct answer *a);

#endif

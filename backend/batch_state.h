/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_BATCH_STATE_H
#define BATCHFS_BATCH_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* In the order of precedence: the first that holds is the batch's state. */
enum batch_state {
	BATCH_RUNNING,
	BATCH_QUEUED,
	BATCH_FAILED,
	BATCH_SKIPPED,
	BATCH_UNKNOWN, /* nobody has looked at the table yet, or nobody can */
	BATCH_PENDING,
	BATCH_PARTIAL,
	BATCH_STALE,
	BATCH_DONE,
	BATCH_STATES,
};

/* Beside the states, in a set of them: what was built with other SQL than its model has now, whatever its
 * state. */
#define SET_CHANGED	 (1u << BATCH_STATES)
#define SET_CHANGED_NAME "changed"

/* "running" ... "done": the suffix in a listing (but for done) and the word in a document. */
const char *batch_state_name(enum batch_state state);

struct batch_state_traits {
	const char *word;
	char mark;	/* of a batch in this state, in a picture of many */
	bool unsettled; /* queued or running: sync waits for it */
	bool wrong;	/* failed, or skipped because of what has failed: what reads it cannot be built */
	bool built;	/* its last build is in the table */
};
const struct batch_state_traits *batch_state_traits(enum batch_state state);

/* False if the `len` bytes are no state's name. */
bool batch_state_parse(const char *text, size_t len, enum batch_state *state);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/batch_state.h"

#include <string.h>

static const struct batch_state_traits states[] = {
	[BATCH_RUNNING] = {.word = "running", .mark = 'R', .unsettled = true},
	[BATCH_QUEUED] = {.word = "queued", .mark = 'Q', .unsettled = true},
	[BATCH_FAILED] = {.word = "failed", .mark = 'F', .wrong = true},
	[BATCH_SKIPPED] = {.word = "skipped", .mark = 'S', .wrong = true},
	[BATCH_UNKNOWN] = {.word = "unknown", .mark = '?'},
	[BATCH_PENDING] = {.word = "pending", .mark = '.'},
	[BATCH_PARTIAL] = {.word = "partial", .mark = '+', .built = true},
	[BATCH_STALE] = {.word = "stale", .mark = '~', .built = true},
	[BATCH_DONE] = {.word = "done", .mark = '#', .built = true},
};
_Static_assert(sizeof states / sizeof *states == BATCH_STATES, "every state has its traits");

const struct batch_state_traits *batch_state_traits(enum batch_state state)
{
	return &states[state];
}

const char *batch_state_name(enum batch_state state)
{
	return states[state].word;
}

bool batch_state_parse(const char *text, size_t len, enum batch_state *state)
{
	for (int i = 0; i < BATCH_STATES; i++)
		if (strlen(states[i].word) == len && memcmp(states[i].word, text, len) == 0) {
			*state = (enum batch_state)i;
			return true;
		}
	return false;
}

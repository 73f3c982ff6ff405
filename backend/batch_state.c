/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/batch_state.h"

#include <string.h>

static const char *const names[BATCH_STATES] = {
	[BATCH_RUNNING] = "running", [BATCH_QUEUED] = "queued",	  [BATCH_FAILED] = "failed",
	[BATCH_SKIPPED] = "skipped", [BATCH_PENDING] = "pending", [BATCH_PARTIAL] = "partial",
	[BATCH_STALE] = "stale",     [BATCH_DONE] = "done",
};

const char *batch_state_name(enum batch_state state)
{
	return names[state];
}

bool batch_state_parse(const char *text, size_t len, enum batch_state *state)
{
	for (int i = 0; i < BATCH_STATES; i++)
		if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0) {
			*state = (enum batch_state)i;
			return true;
		}
	return false;
}

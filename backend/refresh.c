/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/refresh.h"

#include <string.h>

static const char *const phases[] = {
	[REFRESH_OVER] = NULL,	     [REFRESH_CLEAR] = "clear",	      [REFRESH_BUILD] = "build",
	[REFRESH_BESIDE] = "beside", [REFRESH_EXCHANGE] = "exchange", [REFRESH_FIRST] = "first"};
static const char *const results[] = {[REFRESH_NEVER] = NULL,
				      [REFRESH_DONE] = "done",
				      [REFRESH_FAILED] = "failed",
				      [REFRESH_CANCELLED] = "cancelled"};

#define LENGTH(table) (sizeof(table) / sizeof *(table))

static unsigned place_of(const char *const *table, unsigned n, const char *word)
{
	for (unsigned i = 1; word && i < n; i++)
		if (strcmp(table[i], word) == 0)
			return i;
	return 0;
}

const char *refresh_phase_shown(enum refresh_phase phase)
{
	switch (phase) {
	case REFRESH_OVER:
		return NULL;
	case REFRESH_CLEAR:
	case REFRESH_FIRST:
		return "clear";
	case REFRESH_BUILD:
	case REFRESH_BESIDE:
		return "build";
	case REFRESH_EXCHANGE:
		return "exchange";
	}
	return NULL;
}

const char *refresh_phase_word(enum refresh_phase phase)
{
	return phases[phase];
}

const char *refresh_result_word(enum refresh_result result)
{
	return results[result];
}

enum refresh_phase refresh_phase_of(const char *word)
{
	return (enum refresh_phase)place_of(phases, LENGTH(phases), word);
}

enum refresh_result refresh_result_of(const char *word)
{
	return (enum refresh_result)place_of(results, LENGTH(results), word);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/kinds.h"

#include <string.h>

static const struct request_traits requests[] = {
	[REQUEST_BUILD] = {.word = "build", .scope = SCOPE_RANGE, .recorded = true, .builds = true},
	[REQUEST_FULL] = {.word = "full", .scope = SCOPE_RANGE, .builds = true},
	[REQUEST_REASON] = {.word = "reason", .scope = SCOPE_REQUEST},
	[REQUEST_FREEZE] = {.word = "freeze", .scope = SCOPE_RANGE, .freezes = true, .clears_queue = true},
	[REQUEST_THAW] = {.word = "thaw", .scope = SCOPE_RANGE, .freezes = true},
	[REQUEST_PROTECT] = {.word = "protect", .scope = SCOPE_MODEL, .freezes = true},
	[REQUEST_UNPROTECT] = {.word = "unprotect", .scope = SCOPE_MODEL, .freezes = true},
	[REQUEST_CANCEL] = {.word = "cancel", .scope = SCOPE_RANGE, .recorded = true, .stops = true},
};

static const struct settle_traits settles[] = {
	[SETTLE_FAILED] = {.word = "failed", .history = "failed", .spoils = true},
	[SETTLE_REQUEUED] = {.word = "requeued", .history = "failed", .back = true},
	[SETTLE_INTERRUPTED] = {.word = "interrupted", .history = "interrupted", .back = true},
	[SETTLE_UNSTARTED] = {.word = "unstarted", .back = true},
	[SETTLE_SKIPPED] = {.word = "skipped",
			    .history = "skipped",
			    .of_queued = true,
			    .shows = OUTCOME_SKIPPED,
			    .spoils = true},
	[SETTLE_UNBUILDABLE] = {.word = "unbuildable",
				.history = "failed",
				.of_queued = true,
				.shows = OUTCOME_FAILED,
				.spoils = true},
	[SETTLE_CANCELLED] = {.word = "cancelled", .history = "cancelled", .of_queued = true},
	[SETTLE_DONE] = {.word = "done", .history = "done", .builds = true},
	[SETTLE_RETRACTED] = {.word = "retracted", .history = "failed", .spoils = true, .builds = true},
};

static const struct build_traits builds[] = {
	[BUILD_STARTED] = {.word = "started"},
	[BUILD_DONE] = {.word = "done", .final = true, .goes_on = true},
	[BUILD_FAILED] = {.word = "failed", .final = true, .reason = true},
	[BUILD_PASSING] = {.word = "passing", .final = true, .reason = true},
	[BUILD_INTERRUPTED] = {.word = "interrupted", .final = true},
	[BUILD_STALE] = {.word = "stale", .final = true, .goes_on = true},
	[BUILD_UNSTARTED] = {.word = "unstarted", .final = true},
	[BUILD_RETRACTED] = {.word = "retracted", .final = true, .reason = true},
};

#define LENGTH(table) (sizeof(table) / sizeof *(table))
_Static_assert(LENGTH(requests) == REQUEST_KINDS, "every kind of request has its traits");
_Static_assert(LENGTH(settles) == SETTLE_KINDS, "every kind of settling has its traits");
_Static_assert(LENGTH(builds) == BUILD_OUTCOMES, "every outcome of a build has its traits");

#define PARSE(table, text, out)                                                                              \
	for (size_t i = 0; i < LENGTH(table); i++)                                                           \
		if (strcmp((table)[i].word, (text)) == 0) {                                                  \
			*(out) = (__typeof__(*(out)))i;                                                      \
			return true;                                                                         \
		}                                                                                            \
	return false

const struct request_traits *request_traits(enum request_kind kind)
{
	return &requests[kind];
}

bool request_kind_parse(const char *word, enum request_kind *kind)
{
	PARSE(requests, word, kind);
}

const struct settle_traits *settle_traits(enum settle_kind kind)
{
	return &settles[kind];
}

bool settle_kind_parse(const char *word, enum settle_kind *kind)
{
	PARSE(settles, word, kind);
}

const struct build_traits *build_traits(enum build_outcome outcome)
{
	return &builds[outcome];
}

bool build_outcome_parse(const char *word, enum build_outcome *outcome)
{
	PARSE(builds, word, outcome);
}

enum row_outcome state_outcome(enum batch_state state)
{
	switch (state) {
	case BATCH_FAILED:
		return OUTCOME_FAILED;
	case BATCH_SKIPPED:
		return OUTCOME_SKIPPED;
	case BATCH_PARTIAL:
	case BATCH_STALE:
	case BATCH_DONE:
		return OUTCOME_DONE;
	case BATCH_RUNNING:
	case BATCH_QUEUED:
	case BATCH_UNKNOWN:
	case BATCH_PENDING:
	case BATCH_STATES:
		break;
	}
	return OUTCOME_NONE;
}

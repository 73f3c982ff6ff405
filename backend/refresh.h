/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A full refresh of a model: one row of a store, which holds the refresh that is under way and how the last
 * one ended. It goes from phase to phase, and each step is recorded before the next one is taken, so that
 * whoever comes after a crash, on whichever mount, goes on where it was.
 *
 *   clear     Rows outside of begin .. the end of the open window, and rows without an event time, are
 *             deleted (builder.clear). Nothing of the refresh is queued yet: its request waits.
 *   build     Its request is open, and is built as any other one: begin .. now, as that was at the touch.
 *
 * Where the builder makes the table anew with a first batch (dbt), instead of the clear phase:
 *
 *   first     Its request is open, but its first batch alone is built (build_run.anew). Whatever became of an
 *             attempt that did not end well, the table may be another one by then: it is looked at. Once the
 *             batch is recorded as built, the target is another one with the step to the build phase: all
 *             others are pending. The refresh is over if that batch fails: with that step its request is
 *             closed, and the target is to be looked at anew, if an attempt at the batch was claimed.
 *
 * With meta.batchfs.refresh: atomic, where there is a table already:
 *
 *   beside    All batches are built into a table beside the target (builder.beside), with states of its own;
 *             the documents call that build, too. The first failure ends it.
 *   exchange  That takes the target's place, and its states the model's; what was built in the target
 *             meanwhile is built again first.
 */
#ifndef BATCHFS_REFRESH_H
#define BATCHFS_REFRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/base/error.h"
#include "backend/calendar.h"
#include "backend/slot.h"

enum refresh_phase {
	REFRESH_OVER,
	REFRESH_CLEAR,
	REFRESH_BUILD,
	REFRESH_BESIDE,
	REFRESH_EXCHANGE,
	REFRESH_FIRST,
};

/* How a refresh ended. */
enum refresh_result {
	REFRESH_NEVER,	   /* there was none */
	REFRESH_DONE,	   /* every batch was rebuilt */
	REFRESH_FAILED,	   /* a batch failed or was skipped, or the table could not be cleared */
	REFRESH_CANCELLED, /* it was cancelled, or a batch of it was */
};

/* Whether it is built beside the table. */
static inline bool refresh_is_beside(enum refresh_phase phase)
{
	return phase == REFRESH_BESIDE || phase == REFRESH_EXCHANGE;
}

/* As the documents show it; NULL: over. */
const char *refresh_phase_shown(enum refresh_phase phase);
/* As a store has them in its rows; NULL: over, and never. */
const char *refresh_phase_word(enum refresh_phase phase);
const char *refresh_result_word(enum refresh_result result);
/* NULL, "" and what no version knows are REFRESH_OVER and REFRESH_NEVER. */
enum refresh_phase refresh_phase_of(const char *word);
enum refresh_result refresh_result_of(const char *word);

/* As load, follow and store.refresh report it. Strings are valid during the call. Times are us, our clock. */
struct store_refresh {
	slot model;
	int64_t id; /* of its request: of what is under way, else of the last one */
	enum refresh_phase phase;
	struct ordinal_range batches; /* that it rebuilds */
	int64_t since;		      /* when somebody asked */
	int64_t build_at;	      /* when the build phase began; 0: not yet */
	uint32_t uid;
	const char *command, *reason;		       /* reason NULL: none */
	int64_t rows_outside, rows_without_event_time; /* deleted so far */
	int64_t done;				       /* batches that are built beside the table */
	/* Of the last one that ended. */
	int64_t failed; /* batches that could not be built beside the table: one ends it */
	bool beside;	/* something of it may stand beside the table still */
	enum refresh_result result;
	int64_t finished_at; /* 0: none has */
	const char *error;   /* "": nothing went wrong */
};

/* A batch that could not be built beside the table. */
struct refresh_failure {
	ordinal batch;
	int64_t started, finished;
	struct error why; /* err 0: none has failed */
};

/* A step to the next phase, taken by one mount of all: by the one whose step is recorded first. */
struct refresh_step {
	slot model;
	int64_t id;
	enum refresh_phase from, to;
	ordinal first; /* from REFRESH_FIRST: the batch that the table is made anew with */
	int64_t at;
	/* to REFRESH_OVER: how it ended. */
	enum refresh_result result;
	const char *error;		       /* "": nothing went wrong */
	const struct refresh_failure *failure; /* that has ended it; NULL: none. It is told in the history */
	/* from REFRESH_CLEAR, for a store that does not count them with the deletion: what was deleted. */
	int64_t rows_outside, rows_without_event_time;
	int taken; /* out: 0; -ESTALE: it is not in the phase `from` any more, nothing is changed */
};

/* A small transaction of the clear phase. */
struct clear_step {
	slot model;
	int64_t id;		      /* of the refresh */
	struct ordinal_range batches; /* of the refresh */
	unsigned at; /* 0 at first; the builder's own, for the next step of the same worker */
	int64_t rows_outside, rows_without_event_time; /* out: deleted so far, by all steps of the refresh */
	bool over;				       /* out: nothing is left to be deleted */
};

/* A transaction of a refresh beside the table. */
struct beside_step {
	slot model;
	int64_t id;			/* of the refresh */
	enum refresh_phase phase;	/* BESIDE, EXCHANGE; OVER: what is left of it is to be dropped */
	struct ordinal_range batches;	/* of the refresh */
	int64_t done;			/* out: so many of them are built */
	struct refresh_failure failure; /* out: of the batch that this step could not build */
	bool over; /* out: BESIDE: all of them are built; EXCHANGE: it is done, and recorded */
};

#endif

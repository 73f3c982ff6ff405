/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kinds of requests, outcomes and states are: a line a kind, so that nobody has to ask "is this one
 * or that one". Where kinds differ in what is done, a switch without a default does that, and the compiler
 * finds the kind that is missing. Pure.
 */
#ifndef BATCHFS_KINDS_H
#define BATCHFS_KINDS_H

#include "backend/batch_state.h"
#include "backend/builder.h"
#include "backend/store.h"

/* What a request is about: its `batches`, its model as a whole (no batches), or an earlier request (uuid). */
enum request_scope { SCOPE_RANGE, SCOPE_MODEL, SCOPE_REQUEST };

#define REQUEST_KINDS (REQUEST_CANCEL + 1)
struct request_traits {
	const char *word; /* in a warehouse's rows and in messages */
	enum request_scope scope;
	bool recorded; /* has a row with a place among the model's requests, which load and follow report */
	bool builds;   /* queues batches, at once or later */
	bool freezes;  /* changes what is frozen or protected */
	bool stops; /* ends builds: taken also while the daemon ends; nothing of the model is claimed until it
		       is answered */
	bool clears_queue; /* answered only when what was queued in its range has been cancelled */
};
const struct request_traits *request_traits(enum request_kind kind);
bool request_kind_parse(const char *word, enum request_kind *kind);

#define SETTLE_KINDS (SETTLE_RETRACTED + 1)
struct settle_traits {
	const char *word;
	const char
		*history; /* what an attempt that ended so is called in .history; NULL: no attempt counts */
	bool back;	  /* back to the queue */
	bool of_queued;	  /* also of what was only queued and has no attempt */
	enum row_outcome shows; /* of what was only queued: its outcome then; NONE: it stays what it was */
	bool spoils;		/* what reads the batch is skipped */
	bool builds;		/* when the batch was built is another time now */
};
const struct settle_traits *settle_traits(enum settle_kind kind);
bool settle_kind_parse(const char *word, enum settle_kind *kind);

#define BUILD_OUTCOMES (BUILD_RETRACTED + 1)
struct build_traits {
	const char *word;
	bool final;   /* the batch's attempt has ended with it */
	bool goes_on; /* the next batch of the run may begin */
	bool reason;  /* an error says why */
};
const struct build_traits *build_traits(enum build_outcome outcome);
bool build_outcome_parse(const char *word, enum build_outcome *outcome);

/* The outcome that the row of a batch has in this state; OUTCOME_NONE of what is queued or running: any. */
enum row_outcome state_outcome(enum batch_state state);

#endif

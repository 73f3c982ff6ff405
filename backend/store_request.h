/* SPDX-License-Identifier: Apache-2.0 */
/* What a store is asked to record, and what it reports of that (store.h). */
#ifndef BATCHFS_STORE_REQUEST_H
#define BATCHFS_STORE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/error.h"
#include "backend/calendar.h"
#include "backend/refresh.h"
#include "backend/slot.h"

/*
 * A cancel takes its place among the requests of the model: it answers every request with a lower seq for
 * its batches, and ends every attempt that was claimed before it (served below its seq). What is asked for
 * after it is built. Recorded, it keeps other mounts from claiming for what it answers; whoever runs an
 * attempt that it ends is told by follow(), and ends it.
 *
 * Between the rm and its record others may have asked for batches of the range, which the user cannot have
 * meant: what is covered by a request that this mount did not know of then (struct store_known) is spared. So
 * a cancel is recorded as the pieces of its range that are left, all of them in the same place, and of each
 * piece the above is true.
 */
enum request_kind {
	REQUEST_BUILD, /* build every batch of the range once more */
	/*
	 * Refresh the model in full: the range is all of it. Those of one touch that stand side by side are
	 * recorded all or none. -EPERM: one of their models is protected, or a batch of it is frozen; -EBUSY:
	 * a full refresh of one is under way. Each says which.
	 */
	REQUEST_FULL,
	REQUEST_REASON, /* give the request with this uuid its reason */
	/* None of the range may be built. -EBUSY: one has begun, or REFRESH_FIRST; nothing is frozen. What
	 * another mount has claimed and not begun is cancelled; what this one has was given back before. */
	REQUEST_FREEZE,
	REQUEST_THAW,
	REQUEST_PROTECT, /* the model may not be rebuilt as a whole; batches: empty */
	REQUEST_UNPROTECT,
	REQUEST_CANCEL, /* cancel what is queued or running in the range */
};

/* How far a mount knows the requests of a model: everything that others have asked for up to this seq and id,
 * and what was asked for here up to `own`. */
struct store_known {
	int64_t seq, id, own;
};

/* One request. In: all but the last block, which is the answer. */
struct store_request {
	/* Sent again with the same uuid when its fate is unknown: counted once. The first 8 bytes are the
	 * same for all requests of one touch. */
	unsigned char uuid[16];
	enum request_kind kind;
	slot model;
	struct ordinal_range batches;
	int expected; /* of a single batch: the enum batch_state that its name claimed; -1: none */
	uint32_t expected_attempt; /* the attempt that went with it in memory */
	bool anew;  /* FULL: it begins with REFRESH_FIRST, and is refused where any batch is frozen */
	bool named; /* a single batch asked for by its own name: -EPERM where it is frozen. What is frozen of
		       any other range is recorded and never granted: whoever sees it cancels it */
	uint32_t uid;
	char command[16];   /* /proc/PID/comm; "" unknown */
	const char *reason; /* NULL: none */
	int64_t at;	    /* our clock */
	/* CANCEL: what it means at most. own: INT64_MAX, everything that was sent to be recorded before. */
	struct store_known known;
	int64_t of_request; /* CANCEL: of a full refresh, whose request is meant in any case; 0: of none */

	int result;		  /* 0, or -errno; -ENOENT: no longer in the expected state */
	int64_t id;		  /* permanent */
	int64_t seq;		  /* rises with every request of the model, in the order of their commits */
	enum refresh_phase phase; /* FULL: in which it begins */
	/* CANCEL: what of its batches is cancelled, in their order. The caller's to free. */
	struct ordinal_range *pieces;
	size_t n_pieces;
	struct error err;
};

/*
 * A recorded request, as load and follow report it. Strings are valid during the call.
 *
 * Whose code. A batch is built with the SQL of the newest request that wants it, and only by a mount with
 * that SQL; its build answers the older requests for the batch too, whatever their SQL, because the table
 * ends as who asked last wants it. A batch that was put back keeps the code of the request it was claimed
 * for, until a newer one wants it. So a request is never answered by a build with other SQL that was asked
 * for before it, and touching a batch again is enough where no mount with the old SQL comes any more.
 */
struct store_request_row {
	enum request_kind kind; /* BUILD or CANCEL */
	int64_t id, seq;
	slot model;
	struct ordinal_range batches;
	uint32_t uid;
	const char *command, *reason, *code; /* reason NULL: none; code: whose SQL it was made for */
	int64_t at;
	bool open; /* may have batches that are not built yet; else only who asked */
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A parked request, for wait.c, wait_cancel.c and watch.c only. */
#ifndef BATCHFS_FS_PARKED_H
#define BATCHFS_FS_PARKED_H

#include "fs/document.h"
#include "fs/private.h"

struct parked {
	struct fs *fs; /* these are immutable */
	struct wait_for what;
	struct scope scope;	  /* what.scope */
	struct document document; /* that was made for it: of who took it, and before of the renderer */
	uint64_t dir;		  /* number by which the kernel knows the file's directory */
	uint64_t file;		  /* fs_file_key() */
	int64_t since;		  /* CLOCK_MONOTONIC us */
	bool on_name;		  /* the kernel holds the inode of a name (own_inode.h) */
	bool made;		  /* an OPEN's document, by the renderer */
	void (*rendered)(struct parked *p, int result); /* the renderer's work on it is over: 0 or -errno */
	bool piece;	/* the renderer has made what a READ gets, not the whole */
	bool is_reason; /* gives a reason; else it requests, or only waits */

	/* Under waits.lock. */
	unsigned owners;
	bool taken;	  /* out of the list: somebody answers it */
	bool arming;	  /* it is just getting its interrupt function */
	bool due;	  /* while arming: to be answered with result */
	bool interrupted; /* soon after it was parked: its deadline is when that counts */
	bool cancelled;	  /* something that it waits for was cancelled, or is being */
	bool doubtful;	  /* by an rm alone, which may find nothing to cancel */
	int result;
	int64_t deadline;			  /* INT64_MAX: none, or done */
	int64_t limit_at;			  /* the kernel waits no longer */
	struct failure_snapshot *failures_before; /* immutable; NULL: it waits for no set of states */
	struct watch *watch;			  /* NULL: it does not wait for batches (yet) */
	struct scope_place place;		  /* of what it watches, or has watched last */
	TAILQ_ENTRY(parked) link;
	TAILQ_ENTRY(parked) watch_link;
	TAILQ_ENTRY(parked) move_link;	   /* never kept beyond the lock */
	TAILQ_ENTRY(parked) taken_link;	   /* of whoever has taken it */
	TAILQ_ENTRY(parked) renderer_link; /* under the renderer's lock */
};

/* Not in the list yet; it has two owners, that and the caller. for_batches: it waits for the batches from the
 * beginning. NULL: no memory. */
struct parked *parked_new(struct fs *fs, const struct wait_for *what, bool for_batches);

/* Under the lock. True: the caller has taken it out, and is to answer it with `result`. */
bool parked_take(struct parked *p, int result);

/* Under the lock: whether main is to be called earlier than it knows, for the deadline. */
bool parked_wants_tick(const struct parked *p);

/* Answers what the caller has taken, without the lock; never from within its interrupt function. It may be
 * gone then. */
void parked_answer(struct parked *p);

/* Gives it its interrupt function. The caller owns it, and `arming` was set when it was put into the list. */
void parked_arm(struct parked *p);

void parked_free(struct parked *p); /* that has no owner; NULL is fine */

/* Without the lock. */
void parked_disown(struct parked *p);

/* Under the lock: gives up waiting for a batch. */
void parked_unwatch(struct parked *p);

/*
 * Under the lock, of one that is not taken: waits for the next of its batches that is not settled. True:
 * there is none, and the caller has taken it as parked_take() does.
 */
bool parked_watch(struct parked *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the kernel that are answered later. Each has up to two owners: the list
 * of what is parked, until somebody takes it out and answers it (exactly once), and the backend,
 * until it has called done(). It is freed by the last.
 *
 * Whoever takes a request out answers it without the lock. While a request is being
 * given its interrupt function (`arming`: libfuse's lock on the request comes before ours) others
 * only leave their result, and the one who arms answers.
 */
#ifndef BATCHFS_FS_WAIT_H
#define BATCHFS_FS_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "backend/backend.h"
#include "fs/compat.h"
#include "fs/node.h"
#include "fs/scope.h"
#include "fs/wait_kind.h"

/*
 * For so long a signal does not end what asks for something: it is answered within milliseconds, and a
 * program that is merely told of the time (SIGALRM, SIGPROF) does not expect its touch to fail.
 */
#define WAIT_DEAF_US 50000

struct fs;
struct parked;
struct progress;
struct watch;
TAILQ_HEAD(parked_list, parked);

/* An rm of this mount: it has marked those who waited then. CLOCK_MONOTONIC. */
#define RECENT_RMS 64
struct recent_rm {
	struct backend_part part;
	int64_t at;
};

struct waits {
	pthread_mutex_t lock; /* for everything below and the requests; the backend may be asked under it */
	struct parked_list list;
	struct watch *watches; /* who waits for which batch to settle */
	int64_t next_us;       /* what fs_tick() last returned, or earlier: main has been poked for it */
	bool closed;	       /* nothing is parked any more */
	struct recent_rm rms[RECENT_RMS]; /* a ring: what they cancel may settle later */
	unsigned n_rms;			  /* ever */
	unsigned first_rm;		  /* n_rms before the last rm, which may be taken back */
};

void waits_init(struct waits *w);
void waits_fini(struct waits *w);

/* What is to be answered, and about what. */
struct wait_for {
	fuse_req_t req;
	enum wait_kind kind;
	struct node node;
	const struct scope *scope; /* clipped to what exists; copied where they are needed for longer */
	struct fuse_file_info fi;  /* for WAIT_OPEN; of the others only fh, 0: none */
	bool paged;		   /* for WAIT_TEXT: through the page cache */
	uid_t uid;		   /* who is served: for what the renderer makes */
	size_t size;		   /* for WAIT_WRITE, WAIT_READ and WAIT_TEXT */
	off_t off;		   /* for WAIT_READ and WAIT_TEXT */
	struct progress *progress; /* for WAIT_READ: outlives it */
	bool by_time;		   /* for WAIT_READ: it waits for no batch, its time alone answers it */
};

/*
 * FUSE thread. Requests the batches to be built and answers when that is durable; under -o sync when they are
 * built. A request that was answered with 0 is accepted: its suffixed name resolves for an hour. *ticket is
 * the backend's.
 */
void wait_for_request(struct fs *fs, const struct wait_for *what, const char *reason, uint64_t *ticket);

/* FUSE thread. Gives an earlier request its reason, and answers when that is durable. */
void wait_for_reason(struct fs *fs, const struct wait_for *what, uint64_t ticket, const char *reason);

/* FUSE thread. Answers an OPEN, a GETATTR or a WAIT_TEXT when the renderer has made the document. */
void wait_for_document(struct fs *fs, const struct wait_for *what);

/* FUSE thread. Answers an OPEN or a WAIT_SIZE when the model's history has been read. */
void wait_for_history(struct fs *fs, const struct wait_for *what);

/*
 * FUSE thread. now: has the tables of the node's models looked at, and answers at once; under -o sync, and
 * where it only waits, when those looks are over.
 */
void wait_for_look(struct fs *fs, const struct wait_for *what, bool now);

/* FUSE thread. Answers when the full refreshes of the node's models are over. */
void wait_for_refresh(struct fs *fs, const struct wait_for *what);

/* The same of validations: now: has the node's scope validated, else waits for what was asked for. */
void wait_for_validation(struct fs *fs, const struct wait_for *what, bool now);

/* FUSE thread. Freezes or thaws the batches (or protects the model, of .full-refresh), and answers when that
 * is durable. */
void wait_for_freeze(struct fs *fs, const struct wait_for *what, bool freeze);

/* FUSE thread. Answers when nothing in the batches is queued or running. */
void wait_until_settled(struct fs *fs, const struct wait_for *what);

/* FUSE thread. Has progress_answer() answer a READ when nothing in the batches is queued or running, or at
 * that moment. */
void wait_to_read(struct fs *fs, const struct wait_for *what, int64_t until_us);

/*
 * Around an rm: who waits for what it cancels then gets ECANCELED, also where another change than that of
 * the cancel itself is the first to find it settled. False takes it back: nothing was there to cancel.
 */
void wait_mark_cancelled(struct fs *fs, const struct scope *scope, bool cancelled);

/* Before a freeze, which cancels what is queued: who waits already is told so, whatever an earlier rm has
 * left. */
void wait_note_freeze(struct fs *fs, const struct scope *scope);

/* The same of a cancel or freeze of another mount, when it is heard of (backend.h). */
void wait_others_cancel(struct fs *fs, slot model, struct ordinal_range batches);

/*
 * What was queued or running in the batches was cancelled (ran: backend.h): who waits for one of them gets
 * ECANCELED when all
 * that he waits for has settled; not who came after the rm that did it, if it was this mount's. Before
 * wait_changed() of the same batches.
 */
void wait_cancelled(struct fs *fs, slot model, struct ordinal_range batches, bool ran);

/* The batches may have settled: answers who waited for that. After announce_changed(), without any lock. */
void wait_changed(struct fs *fs, slot model, struct ordinal_range batches);

/* Main. Answers what is overdue. Returns the next moment. */
int64_t wait_tick(struct fs *fs, int64_t now_us);

/* Answers everything, now and later, with err (positive). */
void wait_close(struct fs *fs, int err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files. A handle is named by a number (slot and generation), which the kernel keeps as fh;
 * one that is not known any more counts as fresh. Handles are made, and their documents used, by
 * the FUSE thread; they may be dropped from any thread as long as the kernel does not have the number.
 */
#ifndef BATCHFS_FS_HANDLE_H
#define BATCHFS_FS_HANDLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/strbuf.h"

/* What the file was like when it was last read from its start. */
struct handle_document {
	struct strbuf text;
	bool rendered;
};

/* What writing has done so far. */
struct handle_writes {
	bool triggered; /* a request was made through it: no second one */
	bool reasoned;	/* it has got its text */
	uint64_t ticket;
};

struct handle_slot;
struct progress;
struct backend_history;

struct handles {
	pthread_mutex_t lock; /* for everything below and the slots, but their documents; innermost */
	struct handle_slot **slots;
	size_t n;
	struct handle_slot *free;
};

void handles_init(struct handles *t);
void handles_fini(struct handles *t);

/* Of a file with that inode number. 0: no memory. */
uint64_t handle_new(struct handles *t, uint64_t ino);
void handle_drop(struct handles *t, uint64_t fh);

/* Whether a file with that inode number is open. Looks at all that are. */
bool handle_is_open(struct handles *t, uint64_t ino);

/* Takes the progress over; it lives until the handle is dropped. */
void handle_set_progress(struct handles *t, uint64_t fh, struct progress *p);

/* NULL: not known, or it is of another kind. */
struct progress *handle_progress(struct handles *t, uint64_t fh);

/* The same of an open .history. */
void handle_set_history(struct handles *t, uint64_t fh, struct backend_history *h);
struct backend_history *handle_history(struct handles *t, uint64_t fh);

/* FUSE thread only. NULL: not known. Valid until it is dropped. */
struct handle_document *handle_document(struct handles *t, uint64_t fh);

/* False, and all zero, if it is not known. */
bool handle_writes(struct handles *t, uint64_t fh, struct handle_writes *out);
void handle_set_writes(struct handles *t, uint64_t fh, const struct handle_writes *w);
void handle_set_ticket(struct handles *t, uint64_t fh, uint64_t ticket);

/* What was done through it has failed, the request or only its reason: the next write may try again. */
void handle_undo(struct handles *t, uint64_t fh, bool only_reason);

#endif

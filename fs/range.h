/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Periods, ranges and sets of states that were looked up, by their spelling. They do not fit into an
 * inode number, so each gets an id (28 bits: slot and generation). Bounded: beyond RANGES_MAX
 * the one unused for longest loses its id, and the kernel, told ESTALE, looks it up again.
 * Thread-safe.
 */
#ifndef BATCHFS_FS_RANGE_H
#define BATCHFS_FS_RANGE_H

#include <pthread.h>
#include <sys/queue.h>

#include "fs/name.h"

#define RANGES_MAX     4096
#define RANGE_NAME_MAX 48

struct range {
	uint64_t dir; /* inode number of its directory, a model or a selection */
	struct span span;
	unsigned states;	   /* 1u << enum batch_state; 0: whatever state they are in */
	uint16_t alias;		   /* of its inode now */
	char name[RANGE_NAME_MAX]; /* as it was looked up, without ".sql" and ".progress" */
};

struct range_slot;
TAILQ_HEAD(range_list, range_slot);

struct ranges {
	pthread_mutex_t lock; /* for everything below and the slots; innermost */
	struct range_slot *by_name;
	struct range_list by_use; /* the one unused for longest first */
	struct range_slot *slots[RANGES_MAX];
	uint16_t generation[RANGES_MAX];
	unsigned used, next_free;
};

void ranges_init(struct ranges *t);
void ranges_fini(struct ranges *t);

/*
 * The id of that spelling, made where it is new, and one lookup counted for it; *out is what it
 * means now. -ENOMEM, -ENAMETOOLONG.
 */
int ranges_intern(struct ranges *t, uint64_t dir, const char *text, const struct name *name, uint32_t *id,
		  struct range *out);

/* False if the id is no longer known. */
bool ranges_get(struct ranges *t, uint32_t id, struct range *out);

/* The kernel has dropped `n` lookups of it. */
void ranges_forget(struct ranges *t, uint32_t id, uint64_t n);

/* Gives it another inode from now on; *out is what it was before. */
bool ranges_new_alias(struct ranges *t, uint32_t id, struct range *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of an open file, for handle.c and paging.c only. */
#ifndef BATCHFS_FS_HANDLE_SLOT_H
#define BATCHFS_FS_HANDLE_SLOT_H

#include <sys/queue.h>

#include "backend/base/hash.h"
#include "fs/handle.h"

/* An inode that somebody has open. */
struct open_file {
	uint64_t ino;
	unsigned handles;
	TAILQ_HEAD(sized_list, handle_slot) sized; /* those with a size, the newest first */
	UT_hash_handle hh;
};

struct handle_slot {
	uint32_t generation;
	uint32_t index;
	bool used;
	struct handle_slot *next_free;
	struct open_file *file; /* NULL: there was no memory for it */
	pid_t pid;
	bool sized, read;
	size_t size;
	int64_t paged_at; /* CLOCK_MONOTONIC us: a READ from the page cache that was not the last; 0: none */
	TAILQ_ENTRY(handle_slot) sized_link;
	struct handle_writes writes;
	struct text *text;
	uint64_t made; /* the text: counted over all handles */
	struct backend_pages *pages;
	struct progress *progress;
	struct backend_history *history;
};

static inline uint64_t handle_number(const struct handle_slot *s)
{
	return (uint64_t)s->generation << 32 | (s->index + 1);
}

/* Only valid under the lock. The number is never 0: the slot is counted from 1. */
static inline struct handle_slot *handle_find(struct handles *t, uint64_t fh)
{
	uint32_t number = (uint32_t)fh;

	if (!number || number > t->n)
		return NULL;
	struct handle_slot *s = t->slots[number - 1];
	return s->used && s->generation == fh >> 32 ? s : NULL;
}

/* Only valid under the lock. */
static inline struct open_file *handle_file(struct handles *t, uint64_t ino)
{
	struct open_file *f;

	HASH_FIND(hh, t->files, &ino, sizeof(ino), f);
	return f;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel may hold of each batch: by which names it has looked the batch up (inodes
 * are never forgotten here), which of those names may still be valid, and what the announcer has yet to tell.
 * In chunks of neighbours, made when a name is looked up: a batch nobody looked at costs nothing, another one
 * 2 bytes, one that changed 7. Masks have the bit 1 << suffix. Thread-safe.
 */
#ifndef BATCHFS_FS_KERNEL_CACHE_H
#define BATCHFS_FS_KERNEL_CACHE_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "backend/calendar.h"
#include "backend/slot.h"

#define KERNEL_CACHE_CHUNK   256
#define KERNEL_CACHE_ECHO_US 1000000

struct kernel_cache_chunk;
struct kernel_cache_news;
TAILQ_HEAD(kernel_cache_list, kernel_cache_news);

struct kernel_cache {
	pthread_mutex_t lock; /* for everything below and the chunks; innermost */
	struct kernel_cache_chunk *chunks;
	struct kernel_cache_list dirty;	 /* to be announced */
	struct kernel_cache_list echoes; /* to be announced once more, in the order of echo_at */
};

void kernel_cache_init(struct kernel_cache *k);
void kernel_cache_fini(struct kernel_cache *k);

/* Before the state is looked at and a name of it is given to the kernel. 0 or -ENOMEM. */
int kernel_cache_mark(struct kernel_cache *k, slot model, ordinal batch, uint8_t suffix);

/*
 * Whether the batch has just changed, so that two listings that cross may have its inode dropped. The kernel
 * must not be told attributes to keep then: until it has applied that reply, a notice finds no inode, and is
 * lost.
 */
bool kernel_cache_is_changing(struct kernel_cache *k, slot model, ordinal batch, uint8_t suffix);

/* A copy of what is known of the neighbours `base` .. `base + KERNEL_CACHE_CHUNK - 1`; `base` is a multiple
 * of it.
 */
struct kernel_cache_view {
	uint8_t seen[KERNEL_CACHE_CHUNK];
};

/*
 * The batches [first, end), all of the chunk `base`, have changed: suffixes[i] is the present
 * one of first + i. Other names that may be valid are to be expired, and everything
 * again KERNEL_CACHE_ECHO_US later: a reply that crossed the notice may have been applied after it.
 * False: the kernel knows none of the chunk.
 */
bool kernel_cache_changed(struct kernel_cache *k, slot model, ordinal base, ordinal first, ordinal end,
			  const uint8_t *suffixes, int64_t now_us, struct kernel_cache_view *out);

bool kernel_cache_any(struct kernel_cache *k, slot model, ordinal base);

/* What is known of a chunk, as kernel_cache_changed() tells it. False: nothing. */
bool kernel_cache_peek(struct kernel_cache *k, slot model, ordinal base, struct kernel_cache_view *out);

/*
 * The kernel was told something of the batch that no longer holds: the announcer shall see to it, at once and
 * KERNEL_CACHE_ECHO_US later, since the kernel may not have applied that reply when the first notice comes.
 */
void kernel_cache_refresh(struct kernel_cache *k, slot model, ordinal batch, uint8_t suffix, int64_t now_us);

/* Its names shall no longer lead to the inode that they lead to: they are to be dropped. */
void kernel_cache_drop_names(struct kernel_cache *k, slot model, ordinal batch);

/* What the announcer has to tell of a chunk. */
struct kernel_cache_work {
	slot model;
	ordinal base;
	uint8_t refresh[KERNEL_CACHE_CHUNK]; /* inodes */
	uint8_t expire[KERNEL_CACHE_CHUNK];  /* names */
	uint8_t drop[KERNEL_CACHE_CHUNK];    /* names */
};

/* Takes the next chunk with work, or a due echo. False: nothing; *next_us: when the next echo is due,
 * INT64_MAX: none. */
bool kernel_cache_take(struct kernel_cache *k, int64_t now_us, struct kernel_cache_work *out,
		       int64_t *next_us);

#endif

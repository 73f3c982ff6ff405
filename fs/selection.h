/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selections that were looked up at the root, by their spelling. Each has an id (28 bits: slot and
 * generation). Bounded: beyond SELECTIONS_MAX the one unused for longest loses its id, and the kernel,
 * told ESTALE, looks it up again. Thread-safe.
 */
#ifndef BATCHFS_FS_SELECTION_H
#define BATCHFS_FS_SELECTION_H

#include <pthread.h>
#include <sys/queue.h>

#include "backend/backend.h"

#define SELECTIONS_MAX 256

/* Immutable, and there for as long as somebody holds it. */
struct selection_dir {
	struct backend_selection selected;
	unsigned holders; /* atomic */
	char text[];	  /* as it was looked up */
};

struct selection_slot;
TAILQ_HEAD(selection_list, selection_slot);

struct selections {
	pthread_mutex_t lock; /* for everything below and the slots; innermost */
	struct selection_slot *by_text;
	struct selection_list by_use; /* the one unused for longest first */
	struct selection_slot *slots[SELECTIONS_MAX];
	uint32_t generation[SELECTIONS_MAX];
	unsigned used, next_free;
};

void selections_init(struct selections *t);
void selections_fini(struct selections *t);

/* Counts one lookup of what is known by that text. False: nothing is. */
bool selections_find(struct selections *t, const char *text, uint32_t *id);

/* Makes what is not known yet, and counts one lookup of it. Takes `s` over, also on failure. -ENOMEM. */
int selections_add(struct selections *t, const char *text, struct backend_selection *s, uint32_t *id);

/* To be given to selection_put(). NULL: the id is no longer known. */
struct selection_dir *selections_get(struct selections *t, uint32_t id);
void selection_put(struct selection_dir *s); /* NULL is fine */

/* The kernel has dropped `n` lookups of it. */
void selections_forget(struct selections *t, uint32_t id, uint64_t n);

/* Of the inode that its .run has now; 0 where the id is no longer known. */
uint16_t selections_run_alias(struct selections *t, uint32_t id);
void selections_new_run_alias(struct selections *t, uint32_t id);

static inline void cleanup_selection(struct selection_dir **s)
{
	selection_put(*s);
}
#define auto_selection __attribute__((cleanup(cleanup_selection)))

#endif

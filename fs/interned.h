/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an inode number cannot hold: periods, ranges and sets of states and selections, by their spelling, and
 * the second inodes of files (own_inode.h). Each gets an id from a counter that never comes back, so that an
 * id means one thing for as long as anybody may have it, and is kept until the kernel has forgotten it.
 *
 * Bounded: a reader can have the kernel look up names without end, and what is unused the kernel forgets only
 * when it wants its memory back. Beyond `soft` bytes interned_take_surplus() tells which names the kernel is
 * to drop; beyond `hard` the one unused for longest is dropped here, and whoever still has its id is told
 * ESTALE. Thread-safe.
 */
#ifndef BATCHFS_FS_INTERNED_H
#define BATCHFS_FS_INTERNED_H

#include <pthread.h>
#include <sys/queue.h>

#include "backend/backend.h"
#include "fs/name.h"
#include "fs/node.h"
#include "fs/selection.h"

#define INTERNED_SOFT_BYTES (4 << 20)
#define INTERNED_HARD_BYTES (64 << 20)
#define RANGE_NAME_MAX	    48
#define INTERNED_NAME_MAX   4096 /* Linux looks up no longer name (FUSE_NAME_MAX) */

/* What a period, a range or a set of states means. */
struct range {
	struct node dir; /* a model or a selection */
	struct span span;
	unsigned states;	   /* 1u << enum batch_state; 0: whatever state they are in */
	char name[RANGE_NAME_MAX]; /* as it was looked up, without ".sql" and ".progress" */
};

struct interned_entry;
TAILQ_HEAD(interned_list, interned_entry);

struct interned {
	pthread_mutex_t lock; /* for everything below and the entries; innermost */
	struct interned_entry *by_id, *by_name;
	/* The one unused for longest first; told: of which the kernel was asked to drop the name. */
	struct interned_list untold, told;
	uint64_t last; /* id that was given */
	size_t bytes, untold_bytes, soft, hard;
};

void interned_init(struct interned *t);
void interned_fini(struct interned *t);

/*
 * The number in *n, which node_parse() made and whose `interned` is set, becomes the node that it stands for.
 * False: it is not known, or no longer.
 */
bool interned_resolve(struct interned *t, struct node *n);

/*
 * The id of that spelling in n->dir, made where it is new, into n->interned; counts one lookup of it.
 * -ENOMEM, -ENAMETOOLONG.
 */
int interned_range(struct interned *t, const struct node *dir, const char *text, const struct name *name,
		   struct node *n);

/* False: the id is not known, or no range's. */
bool interned_get_range(struct interned *t, uint64_t id, struct range *out);

/*
 * What tells the range from other files for as long as its directory is known, even if it is forgotten and
 * interned anew meanwhile: as good as unique. 0: the id is not known.
 */
uint64_t interned_range_key(struct interned *t, uint64_t id);

/* Counts one lookup of the selection that is known by that text. False: none is. */
bool interned_find_selection(struct interned *t, const char *text, uint64_t *id);

/* Makes one that is not known yet, and counts one lookup of it. Takes `s` over, also on failure. -ENOMEM. */
int interned_add_selection(struct interned *t, const char *text, struct backend_selection *s, uint64_t *id);

/* To be given to selection_put(). NULL: the id is not known, or no selection's. */
struct selection_dir *interned_get_selection(struct interned *t, uint64_t id);

/* The one whose id comes next behind `after`, as interned_get_selection() gives it. NULL: there is none. */
struct selection_dir *interned_next_selection(struct interned *t, uint64_t after, uint64_t *id);

/* What it selects now. Takes `dir` over. Who has the former one goes on with it. */
void interned_set_selection(struct interned *t, uint64_t id, struct selection_dir *dir);

/* A fixed name in the selection was looked up: its inode has the selection's id. False: it is not known. */
bool interned_count(struct interned *t, uint64_t id);

/*
 * Another inode of the file *n, into n->alias. The lookup that was counted for what the file itself is
 * interned as, if it is, is now one of the other inode's, and the file stays known as long. -ENOMEM.
 */
int interned_alias(struct interned *t, struct node *n);

/* The kernel has dropped `n` lookups of inodes with that id. */
void interned_forget(struct interned *t, uint64_t id, uint64_t n);

/*
 * Of what is beyond the soft bound, the one unused for longest that was not told before: a node of it.
 * Whoever calls it has the kernel drop its name, and what is not open comes back as a FORGET. False: there is
 * none.
 */
bool interned_take_surplus(struct interned *t, struct node *out);
bool interned_has_surplus(struct interned *t);

#endif

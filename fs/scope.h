/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file's scope: the batches that it stands for, of one model or, in a selection, of each of its models that
 * has some. Each model is there once, as a part of it.
 */
#ifndef BATCHFS_FS_SCOPE_H
#define BATCHFS_FS_SCOPE_H

#include "backend/backend.h"
#include "fs/name.h"
#include "fs/node.h"

struct fs;
struct selection_dir;

/* What sync waits for and rm cancels. */
#define STATES_UNSETTLED (1u << BATCH_QUEUED | 1u << BATCH_RUNNING)

struct scope {
	size_t n;	 /* parts */
	unsigned states; /* of each */
	bool selected;	 /* of a selection */
	bool single;	 /* one batch, named by itself */
	struct backend_part one;
	struct backend_part *many; /* instead of `one`, of a selection: owned */
};

static inline const struct backend_part *scope_list(const struct scope *p)
{
	return p->many ? p->many : &p->one;
}

void scope_fini(struct scope *p);
#define auto_scope __attribute__((cleanup(scope_fini)))

/* Into *out, which holds nothing. -ENOMEM. */
int scope_copy(struct scope *out, const struct scope *p);

bool scope_empty(const struct scope *p); /* there is no batch in it, in whatever state */
bool scope_meet(const struct scope *p, slot model, struct ordinal_range batches);

/* What runs is meant and not what only waits: that is nothing to who waits for `.running`. */
bool scope_only_runs(const struct scope *p);

/* Whether something of p is queued or running that is in one of the others' states, too. */
bool scope_share_unsettled(const struct backend *b, const struct scope *p, const struct scope *others);

/* A batch of them; zero-initialised: the first. */
struct scope_place {
	size_t part;
	ordinal batch; /* or one before the part's first */
};
/* Goes on to the next batch that is queued or running, from the place on and then from the beginning. False:
 * there is none. */
bool scope_unsettled(const struct backend *b, const struct scope *p, struct scope_place *at);

/* The first of which a request for the scope would build something, where none of its models can be built
 * here; NULL: one can, or there is nothing to build. */
const struct backend_part *scope_unrunnable(const struct backend *b, const struct scope *p);

/* Leaves out the models of a selection that cannot be built here: a request of them would be refused. */
void scope_leave_out_unrunnable(const struct backend *b, struct scope *p);

/*
 * What the node stands for, of what exists now: the one place that knows it. -ESTALE: not known; -ENOENT:
 * none left (a set, .run and what is about a whole directory may be empty). *out holds nothing after a
 * failure.
 */
int fs_scope(struct fs *fs, const struct node *n, struct scope *out);

/* The same of a name that has just been parsed, in a model and in a selection. */
int fs_scope_of_name(struct fs *fs, slot model, const struct name *name, struct scope *out);
int fs_scope_of_selection(struct fs *fs, const struct selection_dir *dir, struct span span, unsigned states,
			  struct scope *out);

/* What tells a file that can be built or frozen from others, whatever inode of it the node is. */
uint64_t fs_file_key(struct fs *fs, const struct node *n);

/* The number by which the kernel knows the directory of a file; 0: not known. */
uint64_t fs_dir_of(struct fs *fs, const struct node *n);

/* Whether the node is a selection, or in one. */
bool fs_is_selected(const struct node *n);

/* The selection that the node is, or is in. To be given to selection_put(); NULL: in none, or not known. */
struct selection_dir *fs_selection_of(struct fs *fs, const struct node *n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file stands for: batches of one model or, in a selection, of each of its models that has some. Each
 * model is there once.
 */
#ifndef BATCHFS_FS_PARTS_H
#define BATCHFS_FS_PARTS_H

#include "backend/backend.h"
#include "fs/name.h"
#include "fs/node.h"

struct fs;
struct selection_dir;

/* What sync waits for and rm cancels. */
#define STATES_UNSETTLED (1u << BATCH_QUEUED | 1u << BATCH_RUNNING)

struct parts {
	size_t n;
	unsigned states; /* of each */
	bool selected;	 /* of a selection */
	struct backend_part one;
	struct backend_part *many; /* instead of `one`, of a selection: owned */
};

static inline const struct backend_part *parts_list(const struct parts *p)
{
	return p->many ? p->many : &p->one;
}

void parts_fini(struct parts *p);
#define auto_parts __attribute__((cleanup(parts_fini)))

/* Into *out, which holds nothing. -ENOMEM. */
int parts_copy(struct parts *out, const struct parts *p);

bool parts_empty(const struct parts *p); /* there is no batch in it, in whatever state */
bool parts_meet(const struct parts *p, slot model, struct ordinal_range batches);

/* Whether something of p is queued or running that is in one of the others' states, too. */
bool parts_share_unsettled(const struct backend *b, const struct parts *p, const struct parts *others);

/* A batch of them; zero-initialised: the first. */
struct parts_place {
	size_t part;
	ordinal batch; /* or one before the part's first */
};
/* Goes on to the next batch that is queued or running, from the place on and then from the beginning. False:
 * there is none. */
bool parts_unsettled(const struct backend *b, const struct parts *p, struct parts_place *at);

/* The first whose model cannot run although a request for the parts would build something of it; NULL: none.
 */
const struct backend_part *parts_unrunnable(const struct backend *b, const struct parts *p);

/* Leaves out the models that cannot run: of those that parts_unrunnable() passes over, too, a request would
 * be refused. */
void parts_leave_out_unrunnable(const struct backend *b, struct parts *p);

/*
 * What the node stands for, of what exists now: the one place that knows it. -ESTALE: not known; -ENOENT:
 * none left (a set, .run and what is about a whole directory may be empty). *out holds nothing after a
 * failure.
 */
int fs_parts(struct fs *fs, const struct node *n, struct parts *out);

/* The same of a name that has just been parsed, in a model and in a selection. */
int fs_parts_of_name(struct fs *fs, slot model, const struct name *name, struct parts *out);
int fs_parts_of_selection(struct fs *fs, const struct selection_dir *dir, struct span span, unsigned states,
			  struct parts *out);

/* A nodeid that the kernel sent. -ESTALE: not ours. */
int fs_node(struct fs *fs, uint64_t ino, struct node *out);

/* The inode number of the directory of a file that can be built; 0: not known. */
uint64_t fs_dir_of(struct fs *fs, const struct node *n);

/* The selection that the node is, or is in. To be given to selection_put(); NULL: in none, or not known. */
struct selection_dir *fs_selection_of(struct fs *fs, const struct node *n);

#endif

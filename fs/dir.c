/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entry's offset is its position: a fixed one for what is always there, then the model's
 * number or the batch's ordinal. So nothing is listed twice or lost while names change.
 */
#include "fs/dir.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "fs/announce.h"
#include "fs/attr.h"
#include "fs/fixed_names.h"
#include "fs/inode.h"
#include "fs/kernel_cache.h"
#include "fs/name.h"
#include "fs/node.h"
#include "fs/own_inode.h"
#include "fs/private.h"
#include "fs/scope.h"
#include "fs/walkers.h"

#define GLANCES 256

enum {
	POSITION_SELF = 1,
	POSITION_PARENT,
	POSITION_FIXED,
	POSITION_FIRST = POSITION_FIXED + NODE_FIXED_MAX + 1
};

/* What the kernel was told of a batch. */
struct told {
	ordinal batch;
	struct batch_glance glance;
};

struct listing {
	struct fs *fs;
	fuse_req_t req;
	struct node dir;
	bool plus;
	bool inodes;	  /* with plus: of batches, too */
	bool some_locked; /* inodes: without a number in the listing, the kernel looks their names up */
	char *buf;
	size_t size, used;
	uint64_t generation; /* of the model at the latest look */
	bool looked, moved;  /* it was another one at an earlier look */
	struct told *told;   /* with plus: room for as many as fit into buf */
	size_t n_told;
};

/* The least that an entry takes in a READDIRPLUS: sizeof(struct fuse_direntplus). */
#define PLUS_ENTRY_MIN 128

/* False: there is no room left. */
static bool emit(struct listing *l, const char *name, const struct fuse_entry_param *e, off_t position)
{
	char *at = l->buf + l->used;
	size_t room = l->size - l->used;
	size_t need = l->plus ? fuse_add_direntry_plus(l->req, at, room, name, e, position)
			      : fuse_add_direntry(l->req, at, room, name, &e->attr, position);

	if (need > room)
		return false;
	l->used += need;
	return true;
}

/* Without attributes: the kernel looks it up when somebody wants them. */
static bool emit_bare(struct listing *l, const char *name, struct node n, mode_t type, off_t position)
{
	struct fuse_entry_param e = {.attr = {.st_ino = node_ino(&n), .st_mode = type}};

	return emit(l, name, &e, position);
}

static bool emit_dots(struct listing *l, off_t off)
{
	struct node root = {.kind = NODE_ROOT, .model = -1};

	if (off < POSITION_SELF && !emit_bare(l, ".", l->dir, S_IFDIR, POSITION_SELF))
		return false;
	return off >= POSITION_PARENT || emit_bare(l, "..", root, S_IFDIR, POSITION_PARENT);
}

static bool emit_fixed(struct listing *l, off_t off)
{
	struct node n = l->dir;
	const struct fixed_name *f;

	for (unsigned i = 0; (f = fixed_name(i)); i++) {
		n.kind = f->kind;
		n.fixed = (uint8_t)i;
		if (off >= POSITION_FIXED + i || f->in != l->dir.kind || f->unlisted)
			continue;
		if (!emit_bare(l, f->text, n, S_IFREG, POSITION_FIXED + i))
			return false;
	}
	return true;
}

static void list_models(struct listing *l, off_t off)
{
	struct node n = {.kind = NODE_MODEL};
	int end = backend_models(l->fs->backend);

	/* lseek() takes anybody anywhere. */
	if (off >= POSITION_FIRST && off - POSITION_FIRST >= end)
		return;
	for (n.model = off < POSITION_FIRST ? 0 : (int)(off - POSITION_FIRST) + 1; n.model < end; n.model++) {
		if (backend_gone(l->fs->backend, n.model))
			continue;
		struct fuse_entry_param e = {
			.ino = node_id(&n),
			.attr_timeout = ATTR_FOREVER_S,
			.entry_timeout = ATTR_FOREVER_S,
		};
		attr_of(l->fs, &n, &e.attr);
		if (!emit(l, backend_model_dir(l->fs->backend, n.model), &e, POSITION_FIRST + n.model))
			return;
	}
}

static int compare_slots(const void *a, const void *b)
{
	const slot *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* By slot, because a new manifest may put others between those that were listed already. */
static void list_links(struct listing *l, const struct selection_dir *dir, off_t off)
{
	size_t count = dir->selected.n_models;
	auto_free slot *models = malloc((count + 1) * sizeof(*models));

	if (!models)
		return;
	memcpy(models, dir->selected.models, count * sizeof(*models));
	qsort(models, count, sizeof(*models), compare_slots);
	for (size_t i = 0; i < count; i++) {
		struct node n = {.kind = NODE_LINK, .model = models[i]};
		struct fuse_entry_param e = {.ino = node_id(&n), .entry_timeout = ATTR_FOREVER_S};
		if (POSITION_FIRST + (off_t)n.model <= off || backend_gone(l->fs->backend, n.model))
			continue;
		attr_of(l->fs, &n, &e.attr);
		if (!emit(l, backend_model_dir(l->fs->backend, n.model), &e, POSITION_FIRST + (off_t)n.model))
			return;
	}
}

static bool emit_batch(struct listing *l, struct node *n, const struct batch_glance *glance, bool sure)
{
	struct fs *fs = l->fs;
	char name[BATCH_FILE_NAME_MAX];
	struct fuse_entry_param e = {.entry_timeout = sure ? ATTR_FOREVER_S : 0};

	n->suffix = suffix_of(glance->state);
	name_format(backend_batch_size(fs->backend, n->model), n->ordinal, n->suffix, name);
	attr_of_batch(fs, n, glance, &e.attr);
	if (l->inodes && !(l->some_locked && own_inode_is_locked(&fs->own_inodes, node_ino(n)))) {
		e.ino = node_id(n);
		e.attr_timeout = sure ? attr_timeout_of_batch(fs, n, glance) : 0;
		l->told[l->n_told++] = (struct told){n->ordinal, *glance};
	}
	return emit(l, name, &e, (off_t)POSITION_FIRST + n->ordinal);
}

/* How often neighbours of which some change all the time are looked at again. */
#define LOOKS 3

/*
 * Looks at neighbours, and marks the names that they have then. Whether none of them has changed between the
 * marks and the look: a name can be marked only when the state is known.
 */
static bool look_at(struct listing *l, ordinal first, ordinal count, struct batch_glance *glances)
{
	struct fs *fs = l->fs;
	slot model = l->dir.model;

	for (int i = 0; i < LOOKS; i++) {
		uint64_t generation = backend_glances(fs->backend, model, first, count, glances);
		l->moved |= l->looked && l->generation != generation;
		l->generation = generation;
		l->looked = true;
		bool marked = l->inodes;
		for (ordinal j = 0; marked && j < count; j++)
			marked = kernel_cache_mark(&fs->kernel_cache, model, first + j,
						   suffix_of(glances[j].state)) == 0;
		if (!marked)
			return false;
		if (generation == backend_generation(fs->backend, model))
			return true;
	}
	return false;
}

static void list_batches(struct listing *l, off_t off)
{
	struct ordinal_range all = backend_existing(l->fs->backend, l->dir.model);
	struct node n = {.kind = NODE_BATCH, .model = l->dir.model};
	struct batch_glance glances[GLANCES];
	ordinal at = all.first;

	if (off >= POSITION_FIRST && off - POSITION_FIRST >= (off_t)all.end)
		return;
	if (off >= POSITION_FIRST && off - POSITION_FIRST + 1 > (off_t)at)
		at = (ordinal)(off - POSITION_FIRST + 1);
	while (at < all.end) {
		ordinal count = all.end - at < GLANCES ? all.end - at : GLANCES;
		bool sure = look_at(l, at, count, glances);
		for (ordinal i = 0; i < count; i++) {
			n.ordinal = at + i;
			if (!emit_batch(l, &n, &glances[i], sure))
				return;
		}
		at += count;
	}
}

/* Something of the model has changed since it was looked at. */
static void recheck(const struct listing *l)
{
	for (size_t i = 0; i < l->n_told; i++)
		announce_recheck(l->fs, l->dir.model, l->told[i].batch, &l->told[i].glance);
}

static void list(struct fs *fs, fuse_req_t req, const struct node *dir, size_t size, off_t off, bool plus)
{
	auto_selection struct selection_dir *selection = fs_selection_of(fs, dir);
	struct listing l = {.fs = fs, .req = req, .dir = *dir, .plus = plus, .size = size};

	l.inodes = plus && (dir->kind != NODE_MODEL || walker_lists(&fs->walkers, fuse_req_ctx(req)->pid,
								    off == 0, clock_monotonic_us()));
	l.some_locked = own_inode_some_locked(&fs->own_inodes);
	l.buf = malloc(size);
	if (plus)
		l.told = malloc((size / PLUS_ENTRY_MIN + 1) * sizeof(*l.told));
	if (!l.buf || (plus && !l.told)) {
		fuse_reply_err(req, ENOMEM);
	} else if (dir->kind == NODE_SELECTION && !selection) {
		fuse_reply_err(req, ESTALE);
	} else {
		bool gone = dir->kind == NODE_MODEL && backend_gone(fs->backend, dir->model);
		if (emit_dots(&l, off) && !gone && emit_fixed(&l, off)) {
			if (dir->kind == NODE_ROOT)
				list_models(&l, off);
			else if (selection)
				list_links(&l, selection, off);
			else
				list_batches(&l, off);
		}
		fuse_reply_buf(req, l.buf, l.used);
	}
	if (l.n_told && (l.moved || backend_generation(fs->backend, dir->model) != l.generation))
		recheck(&l);
	free(l.told);
	free(l.buf);
}

static void start_list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node dir;
	int r = fs_node(fs, ino, &dir);

	if (r == 0 && !node_traits(&dir)->dir)
		r = -ENOTDIR;
	if (r)
		fuse_reply_err(req, -r);
	else
		list(fs, req, &dir, size, off, plus);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	start_list(req, ino, size, off, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	start_list(req, ino, size, off, true);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	/* At once: it would hold the directory's lock. */
	fuse_reply_err(req, EINVAL);
}

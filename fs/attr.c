/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/attr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "fs/kernel_cache.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/scope.h"

/* glibc reads directories with a buffer of this size: 1,100 batches in one READDIRPLUS. */
#define DIRECTORY_BLKSIZE (1 << 20)

void attr_set_size(struct stat *st, size_t size)
{
	st->st_size = (off_t)size;
	st->st_blocks = (blkcnt_t)((size + 511) / 512);
}

static void set_time(struct stat *st, int64_t us)
{
	struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	if (t.tv_nsec < 0) {
		t.tv_sec--;
		t.tv_nsec += 1000000000;
	}
	st->st_atim = st->st_mtim = st->st_ctim = t;
}

static void fill(const struct fs *fs, const struct node *n, mode_t mode, int64_t mtime_us, size_t size,
		 struct stat *st)
{
	*st = (struct stat){
		.st_ino = node_ino(n),
		.st_mode = mode & ~fs->umask,
		.st_nlink = 1,
		.st_uid = fs->uid,
		.st_gid = fs->gid,
		.st_blksize = 4096,
	};
	set_time(st, mtime_us);
	attr_set_size(st, size);
}

static mode_t file_mode(const struct fs *fs, bool writable)
{
	return S_IFREG | (writable && !backend_read_only(fs->backend) ? 0666 : 0444);
}

void attr_of_batch(const struct fs *fs, const struct node *n, const struct batch_glance *glance,
		   struct stat *st)
{
	fill(fs, n, file_mode(fs, glance->writable), glance->built_at, glance->size, st);
}

static int64_t selection_changed_at(const struct fs *fs, const struct selection_dir *dir)
{
	int64_t last = 0;

	for (size_t i = 0; i < dir->selected.n_models; i++) {
		int64_t at = backend_changed_at(fs->backend, dir->selected.models[i]);
		last = at > last ? at : last;
	}
	return last;
}

static int64_t root_changed_at(const struct fs *fs)
{
	int64_t last = 0;

	for (int m = 0; m < backend_models(fs->backend); m++) {
		int64_t at = backend_changed_at(fs->backend, m);
		last = at > last ? at : last;
	}
	return last;
}

static int64_t changed_at(struct fs *fs, const struct node *n)
{
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);

	if (dir)
		return selection_changed_at(fs, dir);
	return n->model < 0 ? root_changed_at(fs) : backend_changed_at(fs->backend, n->model);
}

static int64_t oldest_build(const struct fs *fs, const struct scope *scope)
{
	int64_t oldest = 0;

	for (size_t i = 0; i < scope->n; i++) {
		const struct backend_part *p = &scope_list(scope)[i];
		int64_t at = backend_oldest_build(fs->backend, p->model, p->batches);
		oldest = at && (!oldest || at < oldest) ? at : oldest;
	}
	return oldest;
}

/* Of a range, a set and .run. */
static int of_scope(struct fs *fs, const struct node *n, struct stat *st)
{
	auto_scope struct scope scope = {.n = 0};
	int r = fs_scope(fs, n, &scope);

	if (r)
		return r;
	bool frozen = node_traits(n)->freezes && !scope.states &&
		      backend_frozen(fs->backend, scope_list(&scope), scope.n);
	fill(fs, n, file_mode(fs, !frozen && !scope_unrunnable(fs->backend, &scope)), changed_at(fs, n),
	     ATTR_SIZE_UNKNOWN, st);
	return 0;
}

/* directories: in it, which find(1) takes from the links above 2. */
static void of_directory(struct fs *fs, const struct node *n, int directories, struct stat *st)
{
	fill(fs, n, S_IFDIR | (backend_read_only(fs->backend) ? 0555 : 0777), changed_at(fs, n), 0, st);
	st->st_nlink = (nlink_t)directories + 2;
	st->st_blksize = DIRECTORY_BLKSIZE;
}

static int of_selection(struct fs *fs, const struct node *n, struct stat *st)
{
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);

	if (!dir)
		return -ESTALE;
	of_directory(fs, n, 0, st);
	return 0;
}

static void of_link(struct fs *fs, const struct node *n, struct stat *st)
{
	fill(fs, n, 0, changed_at(fs, n),
	     strlen(LINK_PREFIX) + strlen(backend_model_dir(fs->backend, n->model)), st);
	st->st_mode = S_IFLNK | 0777;
}

bool attr_may_refresh(struct fs *fs, const struct node *n)
{
	auto_scope struct scope scope = {.n = 0};
	size_t n_runnable = 0;

	if (fs_scope(fs, n, &scope))
		return false;
	/* Of all or of none. What cannot be built here is left out of a selection. */
	for (size_t i = 0; i < scope.n; i++) {
		slot model = scope_list(&scope)[i].model;
		if (!backend_runnable(fs->backend, model))
			continue;
		if (backend_protected(fs->backend, model))
			return false;
		n_runnable++;
	}
	return n_runnable > 0;
}

static int of_batch(struct fs *fs, const struct node *n, struct stat *st)
{
	struct batch_glance glance;
	int r = backend_glance(fs->backend, n->model, n->ordinal, &glance);

	if (r == 0)
		attr_of_batch(fs, n, &glance, st);
	return r;
}

static void of_text(struct fs *fs, const struct node *n, bool writable, struct stat *st)
{
	fill(fs, n, file_mode(fs, writable), changed_at(fs, n), ATTR_SIZE_UNKNOWN, st);
}

/* One that nobody has read yet is not empty, for which busybox would take a file of no bytes. */
static void of_history(struct fs *fs, const struct node *n, struct stat *st)
{
	size_t size;
	bool known = backend_history_size(fs->backend, n->model, &size);

	of_text(fs, n, false, st);
	attr_set_size(st, known || size ? size : 1);
}

int attr_of(struct fs *fs, const struct node *n, struct stat *st)
{
	switch (n->kind) {
	case NODE_ROOT:
		of_directory(fs, n, backend_models_present(fs->backend), st);
		return 0;
	case NODE_MODEL:
		of_directory(fs, n, 0, st);
		return 0;
	case NODE_SELECTION:
		return of_selection(fs, n, st);
	case NODE_LINK:
		of_link(fs, n, st);
		return 0;
	case NODE_BATCH:
		return of_batch(fs, n, st);
	case NODE_PROGRESS:
		/* It has none; busybox takes a file of no bytes for empty. */
		fill(fs, n, file_mode(fs, false), changed_at(fs, n), 1, st);
		return 0;
	case NODE_RANGE:
	case NODE_RUN:
		return of_scope(fs, n, st);
	case NODE_FULL_REFRESH:
		of_text(fs, n, attr_may_refresh(fs, n), st);
		return 0;
	case NODE_BATCH_SQL:
	case NODE_RANGE_SQL:
	case NODE_DOCUMENT:
	case NODE_BATCH_VALIDATE_JSON:
	case NODE_RANGE_VALIDATE_JSON:
		of_text(fs, n, false, st);
		return 0;
	case NODE_ADOPT:
	case NODE_VALIDATE:
	case NODE_BATCH_VALIDATE:
	case NODE_RANGE_VALIDATE:
		of_text(fs, n, true, st);
		return 0;
	case NODE_HISTORY:
		of_history(fs, n, st);
		return 0;
	case NODE_KINDS:
		break;
	}
	return -ESTALE;
}

int attr_of_made(struct fs *fs, const struct node *n, size_t size, struct stat *st)
{
	auto_scope struct scope scope = {.n = 0};
	int r = attr_of(fs, n, st);

	if (r)
		return r;
	attr_set_size(st, size);
	if (node_traits(n)->oldest && fs_scope(fs, n, &scope) == 0)
		set_time(st, oldest_build(fs, &scope));
	return 0;
}

double attr_timeout_of_batch(struct fs *fs, const struct node *n, const struct batch_glance *glance)
{
	bool changes_soon = !n->suffix && batch_state_traits(glance->state)->unsettled;

	if (n->alias || changes_soon ||
	    kernel_cache_is_changing(&fs->kernel_cache, n->model, n->ordinal, n->suffix))
		return 0;
	return ATTR_FOREVER_S;
}

double attr_timeout(const struct node *n)
{
	return node_traits(n)->kept && !n->alias ? ATTR_FOREVER_S : 0;
}

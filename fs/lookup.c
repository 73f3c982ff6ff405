/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lookup.h"

#include <string.h>
#include <sys/statvfs.h>

#include "fs/attr.h"
#include "fs/name.h"

#define SQL_TAIL 4 /* strlen(".sql") */

int fs_node(struct fs *fs, fuse_ino_t ino, struct node *out)
{
	return node_parse(ino, out) && out->model < fs->models ? 0 : -ESTALE;
}

static int clip(struct fs *fs, int model, struct ordinal_range batches, struct ordinal_range *out)
{
	struct ordinal_range existing = backend_existing(fs->backend, model);

	out->first = batches.first > existing.first ? batches.first : existing.first;
	out->end = batches.end < existing.end ? batches.end : existing.end;
	return out->first < out->end ? 0 : -ENOENT;
}

int fs_batches(struct fs *fs, const struct node *n, struct ordinal_range *out)
{
	struct range range;

	if (n->kind == NODE_BATCH || n->kind == NODE_BATCH_SQL)
		return clip(fs, n->model, (struct ordinal_range){n->ordinal, n->ordinal + 1}, out);
	if (!ranges_get(&fs->ranges, n->ordinal, &range))
		return -ESTALE;
	return clip(fs, n->model, range.batches, out);
}

bool lookup_holds(struct fs *fs, const struct node *n, const struct batch_glance *glance, int64_t *left_us)
{
	*left_us = INT64_MAX;
	if (!n->suffix || suffix_of(glance->state) == n->suffix)
		return true;
	*left_us = courtesy_left(&fs->courtesies, n->model, n->ordinal, n->suffix, clock_monotonic_us());
	return *left_us > 0;
}

static void reply_entry(struct fs *fs, fuse_req_t req, const struct node *n)
{
	struct fuse_entry_param e = {
		.ino = node_id(n),
		.attr_timeout = attr_timeout(n),
		.entry_timeout = ATTR_FOREVER_S,
	};
	int r = attr_of(fs, n, &e.attr);

	if (r == 0)
		r = fuse_reply_entry(req, &e);
	else
		fuse_reply_err(req, -r);
	if (r && (n->kind == NODE_RANGE || n->kind == NODE_RANGE_SQL))
		ranges_forget(&fs->ranges, n->ordinal, 1);
}

static void lookup_batch(struct fs *fs, fuse_req_t req, struct node *n)
{
	struct batch_glance glance;
	int64_t left_us;

	/* Before the look at the state, so that a change after it finds the name. */
	int alias = known_mark(&fs->known, n->model, n->ordinal, n->suffix);
	int r = alias < 0 ? alias : backend_glance(fs->backend, n->model, n->ordinal, &glance);
	if (r == 0 && !lookup_holds(fs, n, &glance, &left_us))
		r = -ENOENT;
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	n->alias = (uint16_t)alias;
	struct fuse_entry_param e = {.ino = node_id(n)};
	e.entry_timeout = e.attr_timeout = left_us == INT64_MAX ? ATTR_FOREVER_S : (double)left_us / 1e6;
	if (known_is_fresh(&fs->known, n->model, n->ordinal, n->suffix))
		e.attr_timeout = 0;
	attr_of_batch(fs, n, &glance, &e.attr);
	fuse_reply_entry(req, &e);
	announce_recheck(fs, n->model, n->ordinal, &glance);
}

static void lookup_range(struct fs *fs, fuse_req_t req, struct node *n, const char *text,
			 struct ordinal_range batches)
{
	bool sql = n->kind == NODE_RANGE_SQL;
	struct range range;
	int r = ranges_intern(&fs->ranges, n->model, text, strlen(text) - (sql ? SQL_TAIL : 0), batches,
			      &n->ordinal, &range);

	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	n->alias = sql ? 0 : range.alias;
	reply_entry(fs, req, n);
}

static void lookup_in_model(struct fs *fs, fuse_req_t req, int model, const char *text)
{
	struct ordinal_range batches;
	struct name name;
	int r = name_parse(backend_batch_size(fs->backend, model), text, &name);
	struct node n = {.kind = name.kind, .model = model, .suffix = name.suffix};

	if (r == 0 && name.kind >= NODE_BATCH)
		r = clip(fs, model, name.batches, &batches);
	if (r == 0 && name.kind == NODE_FULL_REFRESH && !backend_protected(fs->backend, model))
		r = -ENOENT;
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	if (n.kind == NODE_RANGE || n.kind == NODE_RANGE_SQL) {
		lookup_range(fs, req, &n, text, name.batches);
		return;
	}
	n.ordinal = name.batches.first;
	if (n.kind == NODE_BATCH)
		lookup_batch(fs, req, &n);
	else
		reply_entry(fs, req, &n);
}

static void lookup_in_root(struct fs *fs, fuse_req_t req, const char *text)
{
	struct node n = {.kind = NODE_ROOT_STATUS, .model = -1};

	if (strcmp(text, ".status") != 0) {
		n.kind = NODE_MODEL;
		n.model = backend_find(fs->backend, text);
		if (n.model < 0) {
			fuse_reply_err(req, ENOENT);
			return;
		}
	}
	reply_entry(fs, req, &n);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node dir;
	int r = fs_node(fs, parent, &dir);

	if (r)
		fuse_reply_err(req, -r);
	else if (dir.kind == NODE_ROOT)
		lookup_in_root(fs, req, name);
	else if (dir.kind == NODE_MODEL)
		lookup_in_model(fs, req, dir.model, name);
	else
		fuse_reply_err(req, ENOTDIR);
}

static void forget(struct fs *fs, fuse_ino_t ino, uint64_t n)
{
	struct node node;

	if (fs_node(fs, ino, &node) == 0 && (node.kind == NODE_RANGE || node.kind == NODE_RANGE_SQL))
		ranges_forget(&fs->ranges, node.ordinal, n);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget(fuse_req_userdata(req), ino, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/*
 * A name that no longer holds is still believed in until the announcer has come to it; its
 * attributes are not (announce_changed). So this is where [ -e X.failed ] is answered in the meantime: ESTALE
 * makes the kernel look the name up again. An open file keeps its attributes.
 */
static bool is_outdated(struct fs *fs, fuse_ino_t ino, const struct node *n)
{
	struct batch_glance glance;
	int64_t left_us;

	if (n->kind != NODE_BATCH || !n->suffix || backend_glance(fs->backend, n->model, n->ordinal, &glance))
		return false;
	return !lookup_holds(fs, n, &glance, &left_us) && !handle_is_open(&fs->handles, ino);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node n;
	struct stat st;
	int r = fs_node(fs, ino, &n);

	if (r == 0 && n.kind == NODE_BATCH)
		known_confirm(&fs->known, n.model, n.ordinal, n.suffix, n.alias);
	if (r == 0 && is_outdated(fs, ino, &n))
		r = -ESTALE;
	if (r == 0)
		r = attr_of(fs, &n, &st);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, attr_timeout(&n));
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fuse_req_userdata(req);
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 512, .f_namemax = 255};

	for (int m = 0; m < fs->models; m++) {
		struct ordinal_range all = backend_existing(fs->backend, m);
		st.f_files += all.end > all.first ? all.end - all.first : 0;
	}
	fuse_reply_statfs(req, &st);
}

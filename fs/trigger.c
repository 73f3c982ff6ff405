/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/trigger.h"

#include "fs/access.h"
#include "fs/attr.h"
#include "fs/claim.h"
#include "fs/freeze.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/lookup.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/refuse.h"
#include "fs/scope.h"
#include "fs/wait.h"

/* Go, Node and older uutils write "now" out, from the system's clock. */
#define NOW_US 2000000

static int refuse(struct fs *fs, fuse_req_t req, const struct node *n, bool say, int err,
		  const char *sentence)
{
	return say ? refuse_node(fs, req, n, err, sentence) : -err;
}

static int refuse_unrunnable(struct fs *fs, fuse_req_t req, const struct node *n, slot model, bool say)
{
	auto_strbuf sentence = STRBUF_INIT;

	strbuf_printf(&sentence, "%s cannot run here; its .model says why.",
		      backend_model_dir(fs->backend, model));
	return refuse(fs, req, n, say, EOPNOTSUPP, sentence.str);
}

/* What the mode bits allow, whoever asks: they show what can be built. */
static bool is_writable(struct fs *fs, const struct node *n, const struct scope *scope)
{
	switch (n->kind) {
	case NODE_ROOT:
	case NODE_MODEL:
	case NODE_SELECTION:
		/* A directory keeps its own mode: touching it is EPERM, not a matter of rights. */
		return true;
	case NODE_ADOPT:
	case NODE_VALIDATE:
	case NODE_BATCH_VALIDATE:
	case NODE_RANGE_VALIDATE:
		/* Whoever may write may have a table looked at, whatever can be built. */
		return true;
	case NODE_BATCH:
	case NODE_RANGE:
	case NODE_RUN:
		return !scope_unrunnable(fs->backend, scope);
	case NODE_FULL_REFRESH:
		return attr_may_refresh(fs, n);
	case NODE_LINK:
	case NODE_BATCH_SQL:
	case NODE_RANGE_SQL:
	case NODE_PROGRESS:
	case NODE_BATCH_VALIDATE_JSON:
	case NODE_RANGE_VALIDATE_JSON:
	case NODE_DOCUMENT:
	case NODE_HISTORY:
	case NODE_KINDS:
		break;
	}
	return false;
}

static bool is_protected(struct fs *fs, const struct scope *scope)
{
	for (size_t i = 0; i < scope->n; i++)
		if (backend_protected(fs->backend, scope_list(scope)[i].model))
			return true;
	return false;
}

static int check(struct fs *fs, fuse_req_t req, const struct node *n, bool say, struct scope *scope)
{
	const struct node_traits *t = node_traits(n);
	int r = t->builds || t->refreshes ? fs_scope(fs, n, scope) : 0;
	const struct backend_part *unrunnable = scope_unrunnable(fs->backend, scope);

	if (backend_read_only(fs->backend))
		return refuse(fs, req, n, say, EROFS,
			      "The mount is read-only (-o ro): nothing is built through it.");
	if (!access_may_write(fs, req, (is_writable(fs, n, scope) ? 0666 : 0444) & ~fs->umask))
		return refuse(fs, req, n, say, EACCES, "The file's mode does not let this user write to it.");
	if (t->looks || t->validates)
		return 0;
	/* Who only opens it has asked for nothing yet, and would not be told by the backend. */
	if (t->refreshes && !say && is_protected(fs, scope))
		return -EPERM;
	if (!t->builds && !t->refreshes)
		return refuse(
			fs, req, n, say, EPERM,
			"Only batches, periods, ranges, sets of states, .run and .full-refresh can be built by "
			"writing to them; .adopt has the table looked at, .validate has it "
			"validated.");
	if (r)
		return r;
	if (unrunnable)
		return refuse_unrunnable(fs, req, n, unrunnable->model, say);
	scope_leave_out_unrunnable(fs->backend, scope);
	return claim_check(fs, n);
}

int trigger_check(struct fs *fs, fuse_req_t req, const struct node *n, bool say, struct scope *scope)
{
	int r = check(fs, req, n, say, scope);

	if (r)
		scope_fini(scope);
	return r;
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node dir;
	int r = fs_node(fs, parent, &dir);

	if (backend_read_only(fs->backend))
		r = -EROFS;
	else if (r == 0 && dir.model >= 0 && !backend_runnable(fs->backend, dir.model))
		r = refuse_unrunnable(fs, req, &dir, dir.model, true);
	else if (r == 0)
		/* Not EPERM: to `touch` a batch that is not there, "No such file or directory" is the reason.
		 */
		r = -ENOENT;
	fuse_reply_err(req, -r);
}

static void reply_attr(struct fs *fs, fuse_req_t req, const struct node *n)
{
	struct stat st;
	int r = attr_of(fs, n, &st);

	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, 0);
}

static bool is_about_now(const struct stat *attr)
{
	struct clock system = {.offset_us = 0};
	int64_t now = clock_now_us(&system);
	int64_t now_s = now / 1000000;

	/* Before it is multiplied: a date may be any 64-bit number. */
	if (attr->st_mtim.tv_sec < now_s - 10 || attr->st_mtim.tv_sec > now_s + 10)
		return false;
	int64_t t = attr->st_mtim.tv_sec * INT64_C(1000000) + attr->st_mtim.tv_nsec / 1000;
	return t - now <= NOW_US && now - t <= NOW_US;
}

/* Whether the change is a request: 1, 0, or -errno. triggered: the handle has made one already. */
static int is_trigger(struct fs *fs, fuse_req_t req, const struct node *n, const struct stat *attr,
		      int to_set, bool triggered)
{
	if (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		return refuse(fs, req, n, true, EPERM, "The owner is the mount's (-o uid=, gid=).");
	/* What has written may set the length of it, as if it were kept. */
	if ((to_set & FUSE_SET_ATTR_SIZE) && attr->st_size != 0 && !triggered)
		return refuse(fs, req, n, true, EPERM,
			      "Only cutting it to nothing (: > FILE) asks for a build.");
	if (to_set & (FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME_NOW))
		return 1;
	if (!(to_set & FUSE_SET_ATTR_MTIME))
		return 0;
	if (is_about_now(attr))
		return 1;
	return refuse(fs, req, n, true, EPERM,
		      "An mtime is the time of the last build: it can only be set to now, which builds.");
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	auto_scope struct scope scope = {.n = 0};
	struct wait_for what = {
		.req = req, .kind = WAIT_SETATTR, .scope = &scope, .fi = {.fh = fi ? fi->fh : 0}};
	struct handle_writes w;
	uint64_t ticket;
	int r = fs_node(fs, ino, &what.node);
	bool triggered = handle_writes(&fs->handles, what.fi.fh, &w) && w.triggered;

	if (r == 0)
		r = is_trigger(fs, req, &what.node, attr, to_set, triggered);
	if (r == 0 && (to_set & FUSE_SET_ATTR_MODE)) {
		freeze_set_mode(fs, &what, attr->st_mode);
		return;
	}
	if (r == 0 || (r == 1 && triggered)) {
		reply_attr(fs, req, &what.node);
		return;
	}
	if (r == 1)
		r = trigger_check(fs, req, &what.node, true, &scope);
	if (r == 0 && lookup_send_back_change(fs, req, &what.node, what.fi.fh))
		r = -ESTALE;
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	w = (struct handle_writes){.triggered = true};
	handle_set_writes(&fs->handles, what.fi.fh, &w);
	wait_for_request(fs, &what, NULL, &ticket);
	handle_set_ticket(&fs->handles, what.fi.fh, ticket);
}

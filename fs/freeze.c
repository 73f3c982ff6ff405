/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/freeze.h"

#include "fs/attr.h"
#include "fs/claim.h"
#include "fs/lookup.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/refuse.h"
#include "fs/scope.h"
#include "fs/wait.h"

#define ALL_W ((mode_t)(S_IWUSR | S_IWGRP | S_IWOTH))

static bool can_freeze(struct fs *fs, const struct node *n)
{
	auto_scope struct scope scope = {.n = 0};

	if (node_traits(n)->freezes)
		return fs_scope(fs, n, &scope) || !scope.states;
	/* A selection is another one tomorrow: its models are protected each by its own. */
	return node_traits(n)->protects && n->model >= 0;
}

/* What the mode asks for: 1, to freeze; 0, to thaw; or -errno. */
static int wanted(struct fs *fs, fuse_req_t req, const struct node *n, mode_t mode, mode_t now)
{
	if (!can_freeze(fs, n))
		return refuse_node(
			fs, req, n, EPERM,
			"Only batches, periods, ranges and .full-refresh have a mode to change: chmod "
			"a-w freezes, chmod u+w thaws.");
	if ((mode ^ now) & ~ALL_W)
		return refuse_node(fs, req, n, EPERM,
				   "Of a mode only w can be changed: chmod a-w freezes, chmod u+w thaws.");
	if (!(mode & ALL_W))
		return 1;
	if (mode & S_IWUSR)
		return 0;
	return refuse_node(
		fs, req, n, EPERM,
		"A batch is frozen for everybody or for nobody: chmod a-w freezes, chmod u+w thaws.");
}

static int check(struct fs *fs, const struct wait_for *what)
{
	const struct node *n = &what->node;
	uid_t uid = fuse_req_ctx(what->req)->uid;

	if (backend_read_only(fs->backend))
		return refuse_node(fs, what->req, n, EROFS,
				   "The mount is read-only (-o ro): nothing is frozen or thawed through it.");
	/* Not by the mode, which a freeze has changed. */
	if (uid != 0 && uid != fs->uid)
		return refuse_node(fs, what->req, n, EPERM,
				   "Only the owner of the files and root may change their mode.");
	return claim_check(fs, n);
}

void freeze_set_mode(struct fs *fs, struct wait_for *what, mode_t mode)
{
	auto_scope struct scope scope = {.n = 0};
	struct stat st;
	int freeze = 0, r = check(fs, what);

	if (r == 0)
		r = attr_of(fs, &what->node, &st);
	mode &= ALLPERMS;
	/* What changes nothing is well on any file: chmod -R, cp -p. But a model that cannot run has no w to
	 * show. */
	if (r == 0 && mode == (st.st_mode & ALLPERMS) && !can_freeze(fs, &what->node)) {
		fuse_reply_attr(what->req, &st, 0);
		return;
	}
	if (r == 0)
		r = freeze = wanted(fs, what->req, &what->node, mode, st.st_mode & ALLPERMS);
	if (r >= 0 && node_traits(&what->node)->freezes)
		r = fs_scope(fs, &what->node, &scope);
	what->scope = &scope;
	if (r >= 0 && lookup_send_back_change(fs, what->req, &what->node, what->fi.fh))
		r = -ESTALE;
	if (r < 0)
		fuse_reply_err(what->req, -r);
	else
		wait_for_freeze(fs, what, freeze);
}

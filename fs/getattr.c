/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of an inode that has been looked up: attributes, where a link leads. */
#include <sys/statvfs.h>

#include "fs/attr.h"
#include "fs/claim.h"
#include "fs/document.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/lookup.h"
#include "fs/name.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/scope.h"
#include "fs/wait.h"

/*
 * A name that no longer holds is still believed in until the announcer has come to it; its
 * attributes are not (announce_changed). So this is where [ -e X.failed ] is answered in the meantime: ESTALE
 * makes the kernel look the name up again. An open file keeps its attributes.
 */
static bool is_outdated(struct fs *fs, fuse_ino_t ino, const struct node *n)
{
	struct batch_glance glance;
	int64_t left_us;

	if (!node_traits(n)->batch || !n->suffix ||
	    backend_glance(fs->backend, n->model, n->ordinal, &glance))
		return false;
	return !claim_holds(fs, n, &glance, &left_us) && !handle_is_open(&fs->handles, ino, 0);
}

/* Makes the document, for its size; and for the process that has it open and has not begun to read. */
static void getattr_document(struct fs *fs, fuse_req_t req, fuse_ino_t ino, const struct node *n,
			     const struct fuse_file_info *fi)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	const struct scope none = {.n = 0};
	struct wait_for what = {
		.req = req, .kind = WAIT_GETATTR, .node = *n, .scope = &none, .uid = who->uid};
	auto_document struct document d;
	struct stat st;

	document_init(&d);
	what.fi.fh = handle_unread(&fs->handles, ino, who->pid);
	bool fixed = (fi && handle_size(&fs->handles, fi->fh, &d.size)) ||
		     (!what.fi.fh && handle_paged_size(&fs->handles, ino, clock_monotonic_us(), &d.size));
	if (!fixed && document_is_slow(fs, n)) {
		wait_for_document(fs, &what);
		return;
	}
	size_t size = d.size;
	int r = fixed ? 0 : document_make_for(fs, n, what.fi.fh, who->uid, &size);
	if (r == 0)
		r = attr_of_made(fs, n, size, &st);
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, 0);
}

static void getattr_batch(struct fs *fs, fuse_req_t req, fuse_ino_t ino, const struct node *n)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	uint64_t unread = handle_unread(&fs->handles, ino, who->pid);
	struct batch_glance glance;
	struct stat st;
	size_t size;

	int r = is_outdated(fs, ino, n) ? -ESTALE
					: backend_glance(fs->backend, n->model, n->ordinal, &glance);
	if (r == 0)
		attr_of_batch(fs, n, &glance, &st);
	bool paged = !unread && handle_paged_size(&fs->handles, ino, clock_monotonic_us(), &size);
	if (r == 0 && unread)
		r = document_make_for(fs, n, unread, who->uid, &size);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	if (unread || paged)
		attr_set_size(&st, size);
	/* When he has read it nobody tells the kernel that the size is another one. */
	fuse_reply_attr(req, &st, paged ? 0 : attr_timeout_of_batch(fs, n, &glance));
}

static void reply_attr(struct fs *fs, fuse_req_t req, const struct node *n)
{
	struct stat st;
	int r = attr_of(fs, n, &st);

	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &st, attr_timeout(n));
}

/* Whoever follows it reads where the size has grown. What has ended since it was last read is read first. */
static void getattr_history(struct fs *fs, fuse_req_t req, fuse_ino_t ino, const struct node *n)
{
	const struct scope none = {.n = 0};
	const struct wait_for what = {.req = req, .kind = WAIT_SIZE, .node = *n, .scope = &none};
	uint64_t opened = handle_unread(&fs->handles, ino, fuse_req_ctx(req)->pid);
	size_t size;

	if (!backend_history_size(fs->backend, n->model, &size)) {
		wait_for_history(fs, &what);
		return;
	}
	/* From now on the kernel knows where it ends, for this reader. */
	if (opened)
		handle_note_read(&fs->handles, opened, 0, false, 0);
	reply_attr(fs, req, n);
}

static void getattr_of(struct fs *fs, fuse_req_t req, fuse_ino_t ino, const struct node *n,
		       const struct fuse_file_info *fi)
{
	switch (n->kind) {
	case NODE_BATCH:
		getattr_batch(fs, req, ino, n);
		return;
	case NODE_BATCH_SQL:
	case NODE_RANGE:
	case NODE_RANGE_SQL:
	case NODE_DOCUMENT:
	case NODE_RUN:
	case NODE_FULL_REFRESH:
	case NODE_ADOPT:
	case NODE_VALIDATE:
	case NODE_BATCH_VALIDATE:
	case NODE_BATCH_VALIDATE_JSON:
	case NODE_RANGE_VALIDATE:
	case NODE_RANGE_VALIDATE_JSON:
		getattr_document(fs, req, ino, n, fi);
		return;
	case NODE_HISTORY:
		getattr_history(fs, req, ino, n);
		return;
	case NODE_PROGRESS:
	case NODE_ROOT:
	case NODE_MODEL:
	case NODE_SELECTION:
	case NODE_LINK:
	case NODE_KINDS:
		break;
	}
	reply_attr(fs, req, n);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node n;
	int r = fs_node(fs, ino, &n);

	if (r)
		fuse_reply_err(req, -r);
	else
		getattr_of(fs, req, ino, &n, fi);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fuse_req_userdata(req);
	auto_strbuf target = STRBUF_INIT;
	struct node n;
	int r = fs_node(fs, ino, &n);

	if (r == 0 && n.kind != NODE_LINK)
		r = -EINVAL;
	if (r == 0)
		strbuf_printf(&target, LINK_PREFIX "%s", backend_model_dir(fs->backend, n.model));
	if (r == 0 && strbuf_broken(&target))
		r = -ENOMEM;
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, target.str);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fuse_req_userdata(req);
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 512, .f_namemax = 255};

	for (int m = 0; m < backend_models(fs->backend); m++) {
		if (backend_gone(fs->backend, m))
			continue;
		struct ordinal_range all = backend_existing(fs->backend, m);
		st.f_files += all.end > all.first ? all.end - all.first : 0;
	}
	fuse_reply_statfs(req, &st);
}

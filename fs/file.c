/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/file.h"

#include <fcntl.h>

#include "fs/announce.h"
#include "fs/claim.h"
#include "fs/document.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/lookup.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/progress.h"
#include "fs/reason.h"
#include "fs/scope.h"
#include "fs/trigger.h"
#include "fs/wait.h"

static int check_read(struct fs *fs, const struct node *n)
{
	struct batch_glance glance;
	int64_t left_us;

	if (node_traits(n)->dir)
		return -EISDIR;
	if (!node_traits(n)->batch)
		return 0;
	int r = backend_glance(fs->backend, n->model, n->ordinal, &glance);
	if (r)
		return r;
	return claim_holds(fs, n, &glance, &left_us) ? 0 : -ENOENT;
}

static void open_to_read(struct fs *fs, fuse_req_t req, struct fuse_file_info *fi)
{
	/* Older kernels take the inode's lock for a FLUSH: it would wait behind an fsync. */
	fi->noflush = 1;
	if (fuse_reply_open(req, fi) == -ENOENT)
		handle_drop(&fs->handles, fi->fh);
}

/* Not through the page cache: what is in it may be of another time than the attributes. */
static void open_document(struct fs *fs, fuse_req_t req, const struct node *n, struct fuse_file_info *fi)
{
	const struct scope none = {.n = 0};
	uid_t uid = fuse_req_ctx(req)->uid;
	size_t size;

	fi->direct_io = 1;
	/* A stream: tail would read back from the end of a size that stands for nothing. */
	fi->nonseekable = n->kind == NODE_PROGRESS;
	if (document_is_slow(fs, n)) {
		fi->noflush = 1;
		const struct wait_for what = {
			.req = req, .kind = WAIT_OPEN, .node = *n, .scope = &none, .fi = *fi, .uid = uid};
		wait_for_document(fs, &what);
		return;
	}
	int r = document_make_for(fs, n, fi->fh, uid, &size);
	if (r == 0) {
		open_to_read(fs, req, fi);
		return;
	}
	handle_drop(&fs->handles, fi->fh);
	fuse_reply_err(req, -r);
}

/* Nothing is kept by the kernel: its size is that of now, and grows. */
static void open_history(struct fs *fs, fuse_req_t req, const struct node *n, struct fuse_file_info *fi)
{
	struct backend_history *h = backend_history_open(fs->backend, n->model);

	if (!h) {
		handle_drop(&fs->handles, fi->fh);
		fuse_reply_err(req, ENOMEM);
		return;
	}
	handle_set_history(&fs->handles, fi->fh, h);
	fi->direct_io = 1;
	fi->noflush = 1;
	const struct scope none = {.n = 0};
	struct wait_for what = {.req = req, .kind = WAIT_OPEN, .node = *n, .scope = &none, .fi = *fi};
	wait_for_history(fs, &what);
}

static void open_to_write(struct fs *fs, fuse_req_t req, const struct node *n, const struct scope *scope,
			  struct fuse_file_info *fi)
{
	/*
	 * What is written is no content of the file: it must not get into the page cache. And a
	 * buffered write keeps its page locked until it is answered, on which inval_inode would wait.
	 */
	fi->direct_io = 1;
	if (!(fi->flags & O_TRUNC)) {
		if (fuse_reply_open(req, fi) == -ENOENT)
			handle_drop(&fs->handles, fi->fh);
		return;
	}
	struct wait_for what = {.req = req, .kind = WAIT_OPEN, .node = *n, .scope = scope, .fi = *fi};
	struct handle_writes w = {.triggered = true};
	uint64_t fh = fi->fh, ticket;

	handle_set_writes(&fs->handles, fh, &w);
	wait_for_request(fs, &what, NULL, &ticket);
	handle_set_ticket(&fs->handles, fh, ticket);
}

/* Whether something may be waited for by that open file. */
static bool may_wait(struct fs *fs, const struct node *n, bool to_write)
{
	const struct node_traits *t = node_traits(n);
	auto_scope struct scope scope = {.n = 0};
	struct scope_place place = {.part = 0};

	if (t->looks || t->refreshes || t->validates)
		return true;
	if (to_write || !t->builds)
		return to_write && t->parks;
	return fs_scope(fs, n, &scope) == 0 && scope_unsettled(fs->backend, &scope, &place);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	bool truncate = fi->flags & O_TRUNC;
	bool to_write = truncate || (fi->flags & O_ACCMODE) != O_RDONLY;
	auto_scope struct scope scope = {.n = 0};
	struct node n;
	int r = fs_node(fs, ino, &n);

	if (r == 0)
		r = to_write ? trigger_check(fs, req, &n, truncate, &scope) : check_read(fs, &n);
	if (r == 0 && may_wait(fs, &n, to_write) && lookup_send_back(fs, req, &n))
		r = -ESTALE;
	if (r == 0) {
		fi->fh = handle_new(&fs->handles, ino, fuse_req_ctx(req)->pid);
		if (!fi->fh)
			r = -ENOMEM;
	}
	if (r)
		fuse_reply_err(req, -r);
	else if (to_write)
		open_to_write(fs, req, &n, &scope, fi);
	else if (n.kind == NODE_HISTORY)
		open_history(fs, req, &n, fi);
	else
		open_document(fs, req, &n, fi);
}

static void reply_read(fuse_req_t req, int r, const struct strbuf *text)
{
	if (r)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, text->str, text->len);
}

static void read_document(struct fs *fs, const struct wait_for *what)
{
	uint64_t fh = what->fi.fh;
	auto_strbuf piece = STRBUF_INIT;
	size_t all;

	/* A handle without one was opened to be written to. */
	bool fixed = handle_has_text(&fs->handles, fh);
	enum paging paging = what->paged ? handle_paging(&fs->handles, fh) : PAGING_SHARED;
	if (paging == PAGING_REFUSED) {
		fuse_reply_err(what->req, EINVAL);
		return;
	}
	handle_note_read(&fs->handles, fh, (size_t)what->off + what->size, what->paged, clock_monotonic_us());
	if (!fixed && document_is_slow(fs, &what->node)) {
		wait_for_document(fs, what);
		return;
	}
	int r = fixed ? 0 : document_make_for(fs, &what->node, fh, what->uid, &all);
	if (r == 0)
		r = document_read(fs, fh, (size_t)what->off, what->size, &piece);
	/* By a short answer the kernel would take the file to end there, for everybody. */
	if (r == 0 && paging == PAGING_ALONE)
		strbuf_fill(&piece, '\0', what->size - piece.len);
	reply_read(what->req, r == 0 && strbuf_broken(&piece) ? -ENOMEM : r, &piece);
	if (paging == PAGING_ALONE)
		announce_pages(fs, &what->node);
}

static void read_progress(struct fs *fs, struct wait_for *what, bool no_waiting)
{
	int64_t next_us;

	if (progress_read(fs, what, &next_us))
		return;
	if (no_waiting)
		fuse_reply_err(what->req, EAGAIN);
	else
		wait_to_read(fs, what, next_us);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	const struct scope none = {.n = 0};
	const struct backend_history *history = handle_history(&fs->handles, fi->fh);
	struct wait_for what = {.req = req,
				.kind = WAIT_TEXT,
				.scope = &none,
				.size = size,
				.off = off,
				.uid = fuse_req_ctx(req)->uid,
				/* read(2) has an owner; sendfile, splice and mmap have none. */
				.paged = !fi->lock_owner,
				.fi = {.fh = fi->fh},
				.progress = handle_progress(&fs->handles, fi->fh)};
	int r = fs_node(fs, ino, &what.node);

	if (r) {
		fuse_reply_err(req, -r);
	} else if (what.progress && what.paged) {
		/* It has no size that a page of the cache could end at: they try again with read(2). */
		fuse_reply_err(req, EINVAL);
	} else if (what.progress) {
		what.kind = WAIT_READ;
		read_progress(fs, &what, fi->flags & O_NONBLOCK);
	} else if (history && what.paged &&
		   handle_unread(&fs->handles, ino, fuse_req_ctx(req)->pid) == fi->fh) {
		/* He has not asked for its size since it was opened: the kernel's is older, and would cut it.
		 */
		fuse_reply_err(req, EINVAL);
	} else if (history) {
		auto_strbuf lines = STRBUF_INIT;
		backend_history_read(history, (size_t)off, size, &lines);
		reply_read(req, strbuf_broken(&lines) ? -ENOMEM : 0, &lines);
	} else {
		read_document(fs, &what);
	}
}

/* Something is written after the request has been made: at first, its reason. */
static void write_reason(struct fs *fs, const struct wait_for *what, struct handle_writes *w,
			 const char *reason)
{
	/* Without a ticket nothing had to be built. */
	if (w->reasoned || !reason[0] || !w->ticket) {
		fuse_reply_write(what->req, what->size);
		return;
	}
	w->reasoned = true;
	handle_set_writes(&fs->handles, what->fi.fh, w);
	wait_for_reason(fs, what, w->ticket, reason);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off,
	      struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	auto_scope struct scope scope = {.n = 0};
	struct wait_for what = {
		.req = req, .kind = WAIT_WRITE, .scope = &scope, .size = size, .fi = {.fh = fi->fh}};
	struct handle_writes w;
	char reason[REASON_BYTES + 1];
	uint64_t ticket;
	int r = fs_node(fs, ino, &what.node);

	handle_writes(&fs->handles, fi->fh, &w);
	reason_clean(buf, size, reason);
	if (r == 0 && w.triggered) {
		write_reason(fs, &what, &w, reason);
		return;
	}
	if (r == 0)
		r = trigger_check(fs, req, &what.node, true, &scope);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	w.triggered = true;
	w.reasoned = reason[0] != '\0';
	handle_set_writes(&fs->handles, fi->fh, &w);
	wait_for_request(fs, &what, w.reasoned ? reason : NULL, &ticket);
	handle_set_ticket(&fs->handles, fi->fh, ticket);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);

	handle_drop(&fs->handles, fi->fh);
	fuse_reply_err(req, 0);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct fs *fs = fuse_req_userdata(req);
	auto_scope struct scope scope = {.n = 0};
	struct wait_for what = {.req = req, .kind = WAIT_FSYNC, .scope = &scope};
	int r = fs_node(fs, ino, &what.node);
	bool waits = r == 0 && node_traits(&what.node)->builds;

	if (r == 0 && node_traits(&what.node)->looks) {
		wait_for_look(fs, &what, false);
		return;
	}
	if (r == 0 && node_traits(&what.node)->validates) {
		wait_for_validation(fs, &what, false);
		return;
	}
	bool refreshes = r == 0 && node_traits(&what.node)->refreshes;

	if (waits || refreshes)
		r = fs_scope(fs, &what.node, &scope);
	if (r || !(waits || refreshes))
		fuse_reply_err(req, -r);
	else if (refreshes)
		wait_for_refresh(fs, &what);
	else
		wait_until_settled(fs, &what);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/parked.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "fs/attr.h"
#include "fs/document.h"
#include "fs/failure_snapshot.h"
#include "fs/handle.h"
#include "fs/own_inode.h"
#include "fs/private.h"
#include "fs/progress.h"
#include "fs/scope.h"
#include "fs/wait_kind.h"

#define BRIEF_US 1000000

static int64_t deadline_of(const struct fs *fs, const struct wait_traits *t, int64_t now)
{
	if (t->for_batches)
		return INT64_MAX;
	return now + (t->brief && fs->timeout_us > BRIEF_US ? BRIEF_US : fs->timeout_us);
}

struct parked *parked_new(struct fs *fs, const struct wait_for *what, bool for_batches)
{
	const struct wait_traits *t = wait_traits(what->kind);
	struct parked *p = calloc(1, sizeof(*p));
	int64_t now = clock_monotonic_us();

	if (!p)
		return NULL;
	if (scope_copy(&p->scope, what->scope)) {
		free(p);
		return NULL;
	}
	document_init(&p->document);
	p->fs = fs;
	p->what = *what;
	p->what.scope = &p->scope;
	p->dir = fs_dir_of(fs, &what->node);
	p->owners = 2;
	p->arming = true;
	p->since = now;
	p->limit_at = fs->request_limit_us ? now + fs->request_limit_us : INT64_MAX;
	p->deadline = deadline_of(fs, t, now);
	/* Without memory the set's own verdict is left. */
	if (for_batches && what->scope->states && !t->always)
		p->failures_before = failure_snapshot_take(fs->backend, what->scope);
	if (p->limit_at < p->deadline)
		p->deadline = p->limit_at;
	p->file = fs_file_key(fs, &what->node);
	if (t->holds_inode && !what->node.alias)
		p->on_name = own_inode_locked(&fs->own_inodes, p->file);
	return p;
}

static void unlock_inode(struct parked *p)
{
	if (p->on_name)
		own_inode_unlocked(&p->fs->own_inodes, p->file);
	p->on_name = false;
}

void parked_free(struct parked *p)
{
	if (!p)
		return;
	unlock_inode(p);
	failure_snapshot_free(p->failures_before);
	document_fini(&p->document);
	scope_fini(&p->scope);
	free(p);
}

void parked_disown(struct parked *p)
{
	bool last;

	{
		LOCKED(&p->fs->waits.lock);
		last = --p->owners == 0;
	}
	if (last)
		parked_free(p);
}

bool parked_take(struct parked *p, int result)
{
	if (p->taken)
		return false;
	if (p->arming) {
		if (!p->due)
			p->result = result;
		p->due = true;
		return false;
	}
	p->taken = true;
	p->result = result;
	parked_unwatch(p);
	TAILQ_REMOVE(&p->fs->waits.list, p, link);
	return true;
}

static void answer_open(struct parked *p)
{
	struct handles *t = &p->fs->handles;
	const struct wait_for *what = &p->what;
	int r = p->made ? document_fix(p->fs, what->fi.fh, what->uid, &p->document) : 0;

	if (r == 0)
		r = fuse_reply_open(what->req, &what->fi);
	else
		fuse_reply_err(what->req, -r);
	if (r)
		handle_drop(t, what->fi.fh);
}

static void answer_getattr(struct parked *p)
{
	const struct wait_for *what = &p->what;
	struct stat st;
	int r = attr_of_made(p->fs, &what->node, p->document.size, &st);

	if (r == 0 && what->fi.fh)
		r = document_fix(p->fs, what->fi.fh, what->uid, &p->document);
	if (r)
		fuse_reply_err(what->req, -r);
	else
		fuse_reply_attr(what->req, &st, 0);
}

static void answer_size(struct parked *p)
{
	const struct wait_for *what = &p->what;
	struct stat st;
	int r = attr_of(p->fs, &what->node, &st);

	if (r)
		fuse_reply_err(what->req, -r);
	else
		fuse_reply_attr(what->req, &st, 0);
}

/* A piece of what is made as it is read, or the beginning: the file was opened to be written to. */
static void answer_text(struct parked *p)
{
	const struct wait_for *what = &p->what;
	auto_strbuf piece = STRBUF_INIT;
	const struct strbuf *text = &p->document.text;
	int r = 0;

	handle_note_read(&p->fs->handles, what->fi.fh, (size_t)what->off + what->size, what->paged,
			 clock_monotonic_us());
	if (!p->piece) {
		r = document_fix(p->fs, what->fi.fh, what->uid, &p->document);
		if (r == 0)
			r = document_read(p->fs, what->fi.fh, (size_t)what->off, what->size, &piece);
		text = &piece;
	}
	if (r)
		fuse_reply_err(what->req, -r);
	else
		fuse_reply_buf(what->req, text->str, text->len);
}

bool parked_wants_tick(const struct parked *p)
{
	struct waits *w = &p->fs->waits;

	/* The first that is parked: main begins to look for a deadlock. */
	if (w->next_us != INT64_MAX && p->deadline >= w->next_us)
		return false;
	w->next_us = p->deadline;
	return true;
}

static void answer_ok(struct parked *p)
{
	struct fs *fs = p->fs;
	const struct wait_for *what = &p->what;
	struct stat st;
	int r;

	switch (what->kind) {
	case WAIT_OPEN:
		answer_open(p);
		break;
	case WAIT_GETATTR:
		answer_getattr(p);
		break;
	case WAIT_SIZE:
		answer_size(p);
		break;
	case WAIT_TEXT:
		answer_text(p);
		break;
	case WAIT_WRITE:
		fuse_reply_write(what->req, what->size);
		break;
	case WAIT_SETATTR:
		r = attr_of(fs, &what->node, &st);
		/* Not to be kept: the kernel may apply it after the notice of the next change. */
		if (r)
			fuse_reply_err(what->req, -r);
		else
			fuse_reply_attr(what->req, &st, 0);
		break;
	case WAIT_FSYNC:
		fuse_reply_err(what->req, 0);
		break;
	case WAIT_READ:
		progress_answer(fs, what);
		break;
	case WAIT_KINDS:
		break;
	}
}

static void answer(struct parked *p)
{
	const struct wait_traits *t = wait_traits(p->what.kind);
	bool always = t->always && p->result != -EINTR && p->result != -ECONNABORTED;

	if (p->result == 0 || always) {
		answer_ok(p);
	} else {
		if (t->opens)
			handle_drop(&p->fs->handles, p->what.fi.fh);
		else
			handle_undo(&p->fs->handles, p->what.fi.fh, p->is_reason);
		fuse_reply_err(p->what.req, -p->result);
	}
	unlock_inode(p);
	parked_disown(p);
}

void parked_answer(struct parked *p)
{
	fuse_req_interrupt_func(p->what.req, NULL, NULL);
	answer(p);
}

/* Under the lock. Whether a signal is to be left unanswered for a while. */
static bool is_deaf(const struct parked *p, int64_t now_us)
{
	return !wait_traits(p->what.kind)->for_batches && now_us - p->since < WAIT_DEAF_US;
}

/* libfuse calls it with the request's own lock held. */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct parked *p = data;
	bool mine = false, poke = false;

	(void)req;
	{
		LOCKED(&p->fs->waits.lock);
		if (is_deaf(p, clock_monotonic_us())) {
			p->interrupted = true;
			if (p->since + WAIT_DEAF_US < p->deadline)
				p->deadline = p->since + WAIT_DEAF_US;
			poke = parked_wants_tick(p);
		} else {
			mine = parked_take(p, -EINTR);
		}
	}
	if (poke)
		fs_poke(p->fs);
	if (mine)
		answer(p);
}

void parked_arm(struct parked *p)
{
	bool mine = false;

	fuse_req_interrupt_func(p->what.req, on_interrupt, p);
	{
		LOCKED(&p->fs->waits.lock);
		p->arming = false;
		if (p->due)
			mine = parked_take(p, p->result);
	}
	if (mine)
		parked_answer(p);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "fs/announce.h"
#include "fs/document.h"
#include "fs/handle.h"
#include "fs/name_grace.h"
#include "fs/node.h"
#include "fs/parked.h"
#include "fs/private.h"
#include "fs/refuse.h"
#include "fs/renderer.h"
#include "fs/scope.h"
#include "fs/wait_kind.h"

void waits_init(struct waits *w)
{
	memset(w, 0, sizeof(*w));
	TAILQ_INIT(&w->list);
	w->next_us = INT64_MAX;
	pthread_mutex_init(&w->lock, NULL);
}

void waits_fini(struct waits *w)
{
	pthread_mutex_destroy(&w->lock);
}

/*
 * Parks it; the list owns it, and the caller, who is to disown it (or has the backend do so).
 * NULL: it has been answered, for want of memory or because of the end.
 */
static struct parked *park(struct fs *fs, const struct wait_for *what, bool for_batches)
{
	struct parked *p = parked_new(fs, what, for_batches);
	bool poke = false, closed = false;

	if (p) {
		LOCKED(&fs->waits.lock);
		closed = fs->waits.closed;
		if (!closed) {
			TAILQ_INSERT_TAIL(&fs->waits.list, p, link);
			poke = parked_wants_tick(p);
		}
	}
	if (!p || closed) {
		if (wait_traits(what->kind)->opens)
			handle_drop(&fs->handles, what->fi.fh);
		fuse_reply_err(what->req, p ? ECONNABORTED : ENOMEM);
		parked_free(p);
		return NULL;
	}
	if (poke)
		fs_poke(fs);
	if (p->on_name)
		announce_locked(fs, &what->node);
	parked_arm(p);
	return p;
}

/* until_us: when its time is up, if it still waits for the batches then. */
static void start_watching(struct parked *p, int64_t until_us)
{
	bool mine, poke;

	{
		LOCKED(&p->fs->waits.lock);
		int64_t deadline = p->limit_at < until_us ? p->limit_at : until_us;
		if (!p->interrupted || deadline < p->deadline)
			p->deadline = deadline;
		mine = !p->taken && !p->what.by_time && parked_watch(p);
		poke = parked_wants_tick(p);
	}
	if (poke)
		fs_poke(p->fs);
	if (!mine)
		return;
	announce_attributes(p->fs, &p->scope);
	parked_answer(p);
}

static void settle(struct parked *p, int result)
{
	bool mine;

	/* What was refused of a batch stands in its document. */
	if (result < 0 && wait_traits(p->what.kind)->holds_inode)
		announce_attributes(p->fs, &p->scope);
	{
		LOCKED(&p->fs->waits.lock);
		mine = parked_take(p, result);
	}
	if (mine)
		parked_answer(p);
}

/* What was asked of the backend is done, or not. */
static void on_answer(void *ctx, int result)
{
	struct parked *p = ctx;

	settle(p, result);
	parked_disown(p);
}

/* It waits for as long as it takes. */
static void wait_on(struct parked *p)
{
	LOCKED(&p->fs->waits.lock);
	if (!p->interrupted)
		p->deadline = p->limit_at;
}

/* It is answered when the full refreshes of its models are over. */
static void await_refresh(struct parked *p)
{
	auto_free slot *models = calloc(p->scope.n + 1, sizeof(*models));

	for (size_t i = 0; models && i < p->scope.n; i++)
		models[i] = scope_list(&p->scope)[i].model;
	wait_on(p);
	if (models)
		backend_refresh_wait(p->fs->backend, models, p->scope.n, on_answer, p);
	else
		on_answer(p, -ENOMEM);
}

/* The backend has recorded the request for a full refresh, or not. */
static void on_begun(void *ctx, int result)
{
	struct parked *p = ctx;

	if (result == 0 && p->fs->sync)
		await_refresh(p);
	else
		on_answer(p, result);
}

void wait_for_refresh(struct fs *fs, const struct wait_for *what)
{
	struct parked *p = park(fs, what, false);

	if (p)
		await_refresh(p);
}

/* The backend has recorded the request, or not. */
static void on_recorded(void *ctx, int result)
{
	struct parked *p = ctx;
	struct fs *fs = p->fs;
	const struct node *n = &p->what.node;

	if (result == 0) {
		if (node_traits(n)->batch && n->suffix)
			name_grace_accepted(&fs->name_graces, n->model, n->ordinal, n->suffix,
					    clock_monotonic_us());
		/* Of a set and of .run the backend has told what it has queued. */
		for (size_t i = 0; !p->scope.states && !node_traits(n)->planned && i < p->scope.n; i++)
			announce_changed(fs, scope_list(&p->scope)[i].model,
					 scope_list(&p->scope)[i].batches);
	}
	if (result == 0 && fs->sync)
		start_watching(p, INT64_MAX);
	else
		settle(p, result);
	announce_kick(fs);
	parked_disown(p);
}

/* The backend has told of the batches that look different now. */
static void on_frozen(void *ctx, int result)
{
	struct parked *p = ctx;
	struct fs *fs = p->fs;

	settle(p, result);
	announce_kick(fs);
	parked_disown(p);
}

void wait_for_freeze(struct fs *fs, const struct wait_for *what, bool freeze)
{
	const struct fuse_ctx *who = fuse_req_ctx(what->req);
	auto_refused_file struct refused_file file;
	struct backend_freeze f = {.parts = scope_list(what->scope),
				   .n_parts = what->scope->n,
				   .file = &file.file,
				   .freeze = freeze,
				   .uid = who->uid,
				   .pid = who->pid,
				   .done = on_frozen};

	refused_file_of(fs, &what->node, &file);
	f.ctx = park(fs, what, false);
	if (!f.ctx)
		return;
	if (node_traits(&what->node)->protects) {
		backend_protect(fs->backend, what->node.model, &f);
	} else {
		if (freeze)
			wait_note_freeze(fs, what->scope);
		backend_freeze(fs->backend, &f);
	}
}

void wait_for_look(struct fs *fs, const struct wait_for *what, bool now)
{
	auto_scope struct scope scope = {.n = 0};
	int r = fs_scope(fs, &what->node, &scope);
	auto_free slot *models = calloc(scope.n + 1, sizeof(*models));
	struct parked *p = park(fs, what, false);

	if (!p)
		return;
	for (size_t i = 0; models && i < scope.n; i++)
		models[i] = scope_list(&scope)[i].model;
	r = models ? r : -ENOMEM;
	if (r == 0 && now && !fs->sync)
		backend_look(fs->backend, models, scope.n, true, NULL, NULL);
	if (r || (now && !fs->sync)) {
		on_answer(p, r);
		return;
	}
	wait_on(p);
	backend_look(fs->backend, models, scope.n, now, on_answer, p);
}

void wait_for_validation(struct fs *fs, const struct wait_for *what, bool now)
{
	auto_scope struct scope scope = {.n = 0};
	int r = fs_scope(fs, &what->node, &scope);
	struct parked *p = park(fs, what, false);

	if (!p)
		return;
	if (r) {
		on_answer(p, r);
		return;
	}
	if (!now || fs->sync)
		wait_on(p);
	if (now)
		backend_validate(fs->backend, scope_list(&scope), scope.n, fs->sync, on_answer, p);
	else
		backend_wait_validated(fs->backend, scope_list(&scope), scope.n, on_answer, p);
}

void wait_for_request(struct fs *fs, const struct wait_for *what, const char *reason, uint64_t *ticket)
{
	const struct fuse_ctx *who = fuse_req_ctx(what->req);
	auto_refused_file struct refused_file file;
	struct backend_request r = {
		.parts = scope_list(what->scope),
		.n_parts = what->scope->n,
		.file = &file.file,
		.run = node_traits(&what->node)->planned,
		.expected = what->node.suffix ? (int)suffix_state(what->node.suffix) : -1,
		.uid = who->uid,
		.pid = who->pid,
		.full = node_traits(&what->node)->refreshes,
		.reason = reason,
		.done = on_recorded,
	};

	*ticket = 0;
	refused_file_of(fs, &what->node, &file);
	if (node_traits(&what->node)->looks) {
		wait_for_look(fs, what, true);
		return;
	}
	if (node_traits(&what->node)->validates) {
		wait_for_validation(fs, what, true);
		return;
	}
	if (r.full)
		r.done = on_begun;
	r.ctx = park(fs, what, fs->sync && !r.full);
	if (!r.ctx)
		return;
	if (scope_empty(what->scope) && !r.full)
		on_recorded(r.ctx, 0);
	else
		backend_request(fs->backend, &r, ticket);
}

void wait_for_reason(struct fs *fs, const struct wait_for *what, uint64_t ticket, const char *reason)
{
	struct parked *p = park(fs, what, false);

	if (!p)
		return;
	p->is_reason = true;
	backend_reason(fs->backend, ticket, reason, on_answer, p);
}

static void on_rendered(struct parked *p, int result)
{
	settle(p, result);
	parked_disown(p);
}

void wait_for_document(struct fs *fs, const struct wait_for *what)
{
	struct parked *p = park(fs, what, false);

	if (!p)
		return;
	p->rendered = on_rendered;
	if (!renderer_add(fs, p))
		on_rendered(p, -ENOMEM);
}

void wait_for_history(struct fs *fs, const struct wait_for *what)
{
	struct parked *p = park(fs, what, false);

	if (p)
		backend_history_load(fs->backend, what->node.model, on_answer, p);
}

/* What the states are of is there, as far as anybody can know. */
static void on_checked(void *ctx)
{
	struct parked *p = ctx;

	start_watching(p, INT64_MAX);
	parked_disown(p);
}

/* What has to be waited for is built into the table that is there then. What was built before may be in one
 * that has gone; of what was not, nothing is promised. */
void wait_until_settled(struct fs *fs, const struct wait_for *what)
{
	const struct scope *scope = what->scope;
	struct scope_place place = {.part = 0};
	bool settled = !scope_unsettled(fs->backend, scope, &place);
	int verdict = settled ? backend_verdict(fs->backend, scope_list(scope), scope->n, scope->single) : 0;

	if (verdict) {
		announce_attributes(fs, scope);
		fuse_reply_err(what->req, -verdict);
		return;
	}
	struct parked *p = park(fs, what, true);
	if (!p)
		return;
	if (settled)
		backend_check(fs->backend, on_checked, p);
	else
		on_checked(p);
}

void wait_to_read(struct fs *fs, const struct wait_for *what, int64_t until_us)
{
	struct parked *p = park(fs, what, true);

	if (!p)
		return;
	start_watching(p, until_us);
	parked_disown(p);
}

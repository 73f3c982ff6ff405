/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/progress.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "fs/failure_snapshot.h"
#include "fs/private.h"
#include "fs/scope.h"

/* Older lines are forgotten: nobody reads backwards in what he waits for. */
#define KEEP_BYTES (64 << 10)

struct progress {
	struct scope scope; /* these are immutable */
	slot *refreshed;    /* the models of it whose full refreshes it is of; NULL: it is of batches */
	struct failure_snapshot *failures_before;
	int64_t begun_at;
	size_t begun; /* queued or running then */

	pthread_mutex_t lock; /* for everything below; the backend may be asked under it */
	struct strbuf text;
	off_t base; /* where in the file the text begins */
	int64_t next_at;
	bool ended;
	int result;
};

/* Of all batches of the scope, whatever states it names: done, failed and left; and those never built. */
static struct progress_line count(const struct backend *b, const struct scope *scope)
{
	struct progress_line l = {.left = 0};
	size_t counts[BATCH_STATES];

	for (size_t i = 0; i < scope->n; i++) {
		struct backend_part part = scope_list(scope)[i];
		part.states = 0;
		backend_count_states(b, &part, 1, counts);
		for (int s = 0; s < BATCH_STATES; s++) {
			const struct batch_state_traits *traits = batch_state_traits((enum batch_state)s);
			l.done += traits->built ? counts[s] : 0;
			l.failed += traits->wrong ? counts[s] : 0;
			l.left += STATES_UNSETTLED >> s & 1 ? counts[s] : 0;
		}
		l.pending += counts[BATCH_PENDING] + counts[BATCH_UNKNOWN];
	}
	l.total = l.done + l.failed + l.left;
	return l;
}

/* Of full refreshes. *result: how they have ended; -EINPROGRESS: one is under way. */
static struct progress_line count_refreshed(const struct backend *b, const struct progress *p, int *result)
{
	struct backend_refreshed n;

	backend_refresh_count(b, p->refreshed, p->scope.n, &n);
	*result = n.under_way ? -EINPROGRESS : n.result == -ENODATA ? 0 : n.result;
	return (struct progress_line){.total = n.batches,
				      .done = n.done,
				      .failed = n.failed,
				      .left = n.under_way ? n.batches - n.done - n.failed : 0,
				      .clearing = n.under_way && n.clearing == n.under_way,
				      .rows = n.rows};
}

/* The models; false: no memory. */
static bool note_refreshed(struct progress *p)
{
	p->refreshed = calloc(p->scope.n + 1, sizeof(*p->refreshed));
	for (size_t i = 0; p->refreshed && i < p->scope.n; i++)
		p->refreshed[i] = scope_list(&p->scope)[i].model;
	return p->refreshed != NULL;
}

int progress_new(const struct backend *b, const struct scope *scope, bool refresh, struct progress **out)
{
	struct progress *p = calloc(1, sizeof(*p));

	*out = p;
	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->text = (struct strbuf)STRBUF_INIT;
	p->begun_at = clock_monotonic_us();
	bool whole = scope_copy(&p->scope, scope) == 0 && (!refresh || note_refreshed(p));
	if (whole) {
		int result;
		p->begun = refresh ? count_refreshed(b, p, &result).left : count(b, &p->scope).left;
		p->failures_before = failure_snapshot_take(b, scope);
	}
	if (p->failures_before)
		return 0;
	progress_free(p);
	*out = NULL;
	return -ENOMEM;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	failure_snapshot_free(p->failures_before);
	scope_fini(&p->scope);
	free(p->refreshed);
	strbuf_fini(&p->text);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* With the lock. */
static void add_line(const struct backend *b, struct progress *p)
{
	int64_t now = clock_monotonic_us();
	int result = 0;
	struct progress_line l = p->refreshed ? count_refreshed(b, p, &result) : count(b, &p->scope);

	l.us = now - p->begun_at;
	l.ended = p->begun > l.left ? p->begun - l.left : 0;
	if (p->text.len > KEEP_BYTES) {
		p->base += (off_t)p->text.len;
		strbuf_clear(&p->text);
	}
	progress_format(&l, &p->text);
	p->next_at = now + PROGRESS_EVERY_US;
	if (p->refreshed) {
		p->ended = result != -EINPROGRESS;
		p->result = p->ended ? result : 0;
		return;
	}
	/* Nothing of it waits or runs, but its table is still to be looked at. */
	struct scope_place place = {.part = 0};
	if (l.left || scope_unsettled(b, &p->scope, &place))
		return;
	p->ended = true;
	if (failure_snapshot_has_grown(p->failures_before, b) ||
	    backend_verdict(b, scope_list(&p->scope), p->scope.n, p->scope.single) == -EIO)
		p->result = -EIO;
}

/* With the lock. False: there is nothing at the offset yet. */
static bool reply(const struct progress *p, const struct wait_for *what)
{
	off_t end = p->base + (off_t)p->text.len;
	off_t from = what->off > p->base ? what->off : p->base;

	if (strbuf_broken(&p->text)) {
		fuse_reply_err(what->req, ENOMEM);
	} else if (from < end) {
		size_t left = (size_t)(end - from);
		fuse_reply_buf(what->req, p->text.str + (from - p->base),
			       left < what->size ? left : what->size);
	} else if (p->ended) {
		fuse_reply_err(what->req, -p->result);
	} else {
		return false;
	}
	return true;
}

void progress_answer(struct fs *fs, const struct wait_for *what)
{
	struct progress *p = what->progress;

	LOCKED(&p->lock);
	if (reply(p, what))
		return;
	add_line(fs->backend, p);
	if (!reply(p, what))
		fuse_reply_buf(what->req, NULL, 0);
}

bool progress_read(struct fs *fs, struct wait_for *what, int64_t *next_us)
{
	struct progress *p = what->progress;

	{
		LOCKED(&p->lock);
		if (reply(p, what))
			return true;
		*next_us = p->next_at;
	}
	what->scope = &p->scope;
	what->by_time = p->refreshed != NULL;
	if (*next_us > clock_monotonic_us())
		return false;
	progress_answer(fs, what);
	return true;
}

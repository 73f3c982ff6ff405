/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who of those that wait is told ECANCELED. The cancel of an rm settles its batches later, on another thread:
 * until then it is remembered which rm of this mount has asked for what, and when, so that only those who
 * waited before it are told.
 */
#include "backend/base/cleanup.h"
#include "fs/parked.h"
#include "fs/scope.h"
#include "fs/wait.h"
#include "fs/wait_kind.h"

static bool waits(const struct parked *p)
{
	return p->watch && !wait_traits(p->what.kind)->always;
}

/* What takes longer than this to be cancelled is not expected by anybody who comes later. */
#define RM_US 10000000

/* Under the lock. */
static void note_rm(struct waits *w, const struct scope *scope)
{
	int64_t now = clock_monotonic_us();

	for (size_t i = 0; i < scope->n; i++)
		w->rms[w->n_rms++ % RECENT_RMS] = (struct recent_rm){.part = scope_list(scope)[i], .at = now};
}

void wait_note_freeze(struct fs *fs, const struct scope *scope)
{
	LOCKED(&fs->waits.lock);
	note_rm(&fs->waits, scope);
}

void wait_others_cancel(struct fs *fs, slot model, struct ordinal_range batches)
{
	const struct scope scope = {.n = 1, .one = {.model = model, .batches = batches}};

	LOCKED(&fs->waits.lock);
	note_rm(&fs->waits, &scope);
}

/* Under the lock. The last rm has found nothing to cancel. Others may have noted theirs since, in the places
 * of its first parts, too. */
static void forget_rm(struct waits *w, const struct scope *scope)
{
	for (unsigned i = w->first_rm; i != w->first_rm + (unsigned)scope->n; i++)
		if (w->n_rms - i <= RECENT_RMS)
			w->rms[i % RECENT_RMS].at = 0;
}

/* Under the lock. When an rm of this mount has asked for the cancel of the batch; INT64_MAX: none has. */
static int64_t rm_of(const struct waits *w, slot model, ordinal batch)
{
	int64_t now = clock_monotonic_us(), at = INT64_MAX;

	for (unsigned i = 0; i < RECENT_RMS; i++) {
		const struct recent_rm *rm = &w->rms[i];
		if (rm->at + RM_US > now && rm->part.model == model && batch >= rm->part.batches.first &&
		    batch < rm->part.batches.end && (at == INT64_MAX || rm->at > at))
			at = rm->at;
	}
	return at;
}

void wait_mark_cancelled(struct fs *fs, const struct scope *scope, bool cancelled)
{
	struct parked *p;

	LOCKED(&fs->waits.lock);
	if (cancelled) {
		fs->waits.first_rm = fs->waits.n_rms;
		note_rm(&fs->waits, scope);
	} else {
		forget_rm(&fs->waits, scope);
	}
	TAILQ_FOREACH(p, &fs->waits.list, link)
	{
		if (cancelled) {
			p->doubtful = !p->cancelled && waits(p) &&
				      scope_share_unsettled(fs->backend, &p->scope, scope);
			p->cancelled |= p->doubtful;
		} else if (p->doubtful) {
			p->doubtful = p->cancelled = false;
		}
	}
}

void wait_cancelled(struct fs *fs, slot model, struct ordinal_range batches, bool ran)
{
	struct parked *p;

	LOCKED(&fs->waits.lock);
	/* Asked for again meanwhile: it is built, and who waits will see that. */
	if (backend_next_unsettled(fs->backend, model, batches) < batches.end)
		return;
	int64_t before = rm_of(&fs->waits, model, batches.first);
	TAILQ_FOREACH(p, &fs->waits.list, link)
	{
		if (waits(p) && p->since < before && scope_meet(&p->scope, model, batches) &&
		    (ran || !scope_only_runs(&p->scope))) {
			p->cancelled = true;
			p->doubtful = false;
		}
	}
}

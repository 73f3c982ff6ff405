/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/watch.h"

enum watch_step watch_look(struct manifest_watch *w, const struct file_stamp *now, int64_t now_us)
{
	if (!stamp_equal(&w->last, now)) {
		w->last = *now;
		w->since = now_us;
		w->tried = false;
	}
	if (stamp_equal(&w->known, now))
		return WATCH_NOTHING;
	int64_t quiet = now_us - w->since;
	if (!now->err && !w->tried)
		return quiet >= WATCH_QUIET_US ? WATCH_READ : WATCH_SOON;
	if (quiet < WATCH_BROKEN_US)
		return WATCH_SOON;
	w->known = *now;
	return WATCH_BROKEN;
}

bool watch_read(struct manifest_watch *w, const struct file_stamp *before, const struct file_stamp *after,
		bool whole, int64_t now_us)
{
	bool same = stamp_equal(before, after);
	if (!same || !stamp_equal(&w->last, after)) {
		w->last = *after;
		w->since = now_us;
	}
	/* What has changed while it was read is read again, though it may have been whole. */
	w->tried = same && !whole;
	if (same && whole)
		w->known = *after;
	return same && whole;
}

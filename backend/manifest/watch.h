/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a manifest's file is to be read again. dbt writes it in place, so that a reader may find half of it;
 * others put another file in its place, and `dbt clean` takes it away for a while. It is read when it has
 * been left alone for a moment; one that is broken or missing counts as that when it has been so for longer,
 * since whoever writes it may pause. Pure: who calls looks at the file and the clock.
 */
#ifndef BATCHFS_MANIFEST_WATCH_H
#define BATCHFS_MANIFEST_WATCH_H

#include "backend/manifest.h"

#define WATCH_QUIET_US	INT64_C(300000)
#define WATCH_BROKEN_US INT64_C(1200000)

struct manifest_watch {
	struct file_stamp known; /* of what was read last, or given up as broken */
	struct file_stamp last;	 /* as it was found last */
	int64_t since;		 /* monotonic us: since when it has been like that */
	bool tried;		 /* `last` was read, and was broken */
};

enum watch_step {
	WATCH_NOTHING, /* there is no news */
	WATCH_SOON,    /* there is, and it is to be looked at again before long */
	WATCH_READ,    /* read it; then watch_read() says what came of it */
	WATCH_BROKEN,  /* it is broken, or missing (`last.err`), and stays so; told once */
};
enum watch_step watch_look(struct manifest_watch *w, const struct file_stamp *now, int64_t now_us);

/* What was read had this stamp before and this one after; whether it is a manifest that may be used. */
bool watch_read(struct manifest_watch *w, const struct file_stamp *before, const struct file_stamp *after,
		bool whole, int64_t now_us);

#endif

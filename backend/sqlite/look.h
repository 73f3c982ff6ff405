/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at a target (builder.look): which windows of it hold rows (windows.c), what that makes of the states
 * where the table is met for the first time (adopt.c) or again (look.c), and how it is told (told.c).
 */
#ifndef BATCHFS_SQLITE_LOOK_H
#define BATCHFS_SQLITE_LOOK_H

#include "backend/sqlite/target.h"

/* A batch that a look has found something of. */
struct found_batch {
	ordinal batch;
	uint32_t attempt; /* its last one; 0: none */
};

/* By batch, none twice. */
struct found_list {
	struct found_batch *list;
	size_t n, size;
};

static inline void found_list_fini(struct found_list *f)
{
	free(f->list);
}
#define auto_found __attribute__((cleanup(found_list_fini))) struct found_list
int found_list_add(struct found_list *f, ordinal batch, uint32_t attempt, struct error *err);

/* Binds a time as the column holds it: what is compared with it is text or a number. */
int bind_time(sqlite3_stmt *stmt, int at, enum time_type type, int64_t us, struct error *err);

/* From begin to the window that is open now. */
struct ordinal_range windows_of(const struct store *s, const struct model *m);
/*
 * windows.c: the batches whose window holds rows, appended: one descent of an index a window where one leads
 * with event_time, else one pass over all of the table. In the caller's transaction.
 */
int windows_find(struct worker *w, const struct model *m, const struct target_view *view,
		 struct found_list *out, struct error *err);

/* told.c: lines of .history, "adopted" or "gone", one for neighbours that are alike. In the caller's
 * transaction. */
int told_write(struct worker *w, const struct model *m, int64_t table_id, const char *outcome, int64_t at,
	       const struct found_list *found, struct error *err);

/* adopt.c. What the last runs finished says so in the queue, too: it is idle there. */
int settle_queue(struct worker *w, sqlite3 *queue, slot model, struct error *err);
/* Makes them done, adopted, and tells. In the caller's transaction. */
int adopt_states(struct worker *w, const struct model *m, int64_t id, int64_t now,
		 const struct found_list *found, struct error *err);
/* compare.c: what differs from what is recorded. */
struct differences {
	struct found_list holding; /* recorded as not built, and their windows hold rows */
	struct found_list empty;   /* built with rows, or seen with some, and their windows hold none */
};
/* holding: all that hold rows. In the caller's transaction; queue NULL: there is none. */
int compare(struct worker *w, sqlite3 *queue, slot model, const struct found_list *holding,
	    struct differences *out, struct error *err);
/* What runs, was asked for or has ended since is left alone. Reports what was changed. */
int record_differences(struct worker *w, sqlite3 *queue, slot model, const struct differences *d,
		       const struct store_sink *sink, struct error *err);

/* LOOK_FIRST. */
int adopt(struct worker *w, slot model, const struct store_sink *sink, struct error *err);

#endif

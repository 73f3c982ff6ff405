/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a statement may do on a worker's connection. The SQL of one model, and the triggers that a user has
 * put on its table, reach nothing that outlives the statement but rows: no setting, no other file, no table
 * of batchfs, so that the next model finds the connection as it was.
 */
#ifndef BATCHFS_SQLITE_GUARD_H
#define BATCHFS_SQLITE_GUARD_H

#include "backend/sqlite/warehouse.h"

enum guard {
	GUARD_OFF,   /* statements of ours that only we can have an influence on: anything */
	GUARD_OWN,   /* statements of ours on batchfs' tables: anything, but no trigger may take part */
	GUARD_QUERY, /* the model's query by itself: it reads */
	GUARD_ROWS,  /* what writes the target's rows: the query reads, triggers write rows of other tables,
			none of  batchfs */
};

/* Installs it on w->db, and makes the connection strict. */
int guard_install(struct worker *w, struct error *err);

/* Of the statements that are compiled or run from here to the end of the scope. */
struct guard_scope {
	struct worker *w;
};
struct guard_scope guard_begin(struct worker *w, enum guard guard);
void guard_end(struct guard_scope *scope);
#define GUARDED(w, guard)                                                                                    \
	__attribute__((cleanup(guard_end), unused)) struct guard_scope CLEANUP_JOIN(guarded_, __LINE__) =    \
		guard_begin(w, guard)

/* Says what was denied, where the failure `r` comes from that; r. */
int guard_explain(struct worker *w, int r, struct error *err);

#endif

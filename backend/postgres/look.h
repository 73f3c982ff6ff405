/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at a target (builder.look): which windows of it hold rows (windows.c), what that makes of the states
 * where the table is met for the first time (adopt.c) or again (compare.c), and how it is told.
 */
#ifndef BATCHFS_POSTGRES_LOOK_H
#define BATCHFS_POSTGRES_LOOK_H

#include "backend/postgres/pgstore.h"

/* What is asked of a target: the SQL around the question, whose rows are the starts in us as a bigint. */
struct windows_query {
	const struct pg_model *model;
	const struct pg_shape *shape;
	struct ordinal_range batches;
	const char *before, *after;	/* "": nothing */
	const struct pg_params *params; /* of that; NULL: none */
};

/* Appends the start of the window that `x` lies in, as a timestamp in UTC. */
void pg_put_truncated(struct strbuf *sql, const char *size, enum time_type type, const char *x);

/*
 * What the failure `r` of a look, or of a validation, means: a right that is missing is named with its GRANT,
 * a lock that somebody holds is -EBUSY, what was interrupted -ECANCELED. shape: NULL if none was read.
 */
int pg_explain(struct worker *w, const struct pg_model *m, const struct pg_shape *shape, int r,
	       struct error *err);

/* From begin to the window that is open now. */
struct ordinal_range pg_windows_of(const struct store *s, const struct pg_model *m);
/* Whether the windows are found by an index, so that asking costs little whatever the table holds. */
bool pg_windows_skip(const struct pg_model *m, const struct pg_shape *shape);
/* Waits for a lock of a second at most, and as long as reading the table takes. */
int pg_windows_find(struct worker *w, const struct windows_query *q, PGresult **out, struct error *err);

/* A batch that a look has found to be another than was recorded. */
struct found_batch {
	ordinal batch;
	uint32_t attempt; /* its last one; 0: none */
};
/*
 * Queues the lines of .history, which tell other mounts, too: "adopted" or "gone", one for neighbours that
 * are alike. found: n, by batch. origin: whom they are no news for; 0: this mount hears of them, too.
 */
void pg_told_add(struct pg_pipe *p, const struct pg_model *m, int64_t origin, const char *outcome, int64_t at,
		 const struct found_batch *found, size_t n);

/* What was written to a target, as far as the server counts that (written.c). A worker's own; by slot. */
struct pg_writes {
	uint32_t oid;	   /* of the target at the last look; 0: there was none */
	char files[33];	   /* a print of the files that it was in; another one after TRUNCATE */
	int64_t by_others; /* rows, ever, at the last look */
	int64_t own;	   /* of batchfs's own, since `snapshot` was first taken */
	char *snapshot;	   /* up to which they were counted; NULL: not yet */
	unsigned passed;   /* looks that were not needed, one after the other */
	uint64_t told;	   /* -o ro: a print of what was told last */
};
struct pg_writes *pg_writes_of(struct worker *w, slot model); /* NULL: no memory */
/* Counts. *now: for pg_writes_seen(). *written: somebody else has, or may have, since the last look. */
int pg_writes_read(struct worker *w, const struct pg_model *m, uint32_t oid, struct pg_writes *last,
		   struct pg_writes *now, bool *written, struct error *err);
/* The target was looked at after `now` was counted. */
void pg_writes_seen(struct pg_writes *last, const struct pg_writes *now);
void pg_writes_free(struct worker *w);

/* compare.c: LOOK_ASKED. told: a print of what was told last, with -o ro. */
uint64_t pg_print(const PGresult *r); /* of all its values; 0: it is empty */
/* The rows of a comparison: start, holds, attempt, finished. */
int pg_record_differences(struct worker *w, struct pg_model *m, const PGresult *differ, uint64_t *told,
			  const struct store_sink *sink, struct error *err);
int pg_compare(struct worker *w, struct pg_model *m, const struct pg_shape *shape, uint64_t *told,
	       const struct store_sink *sink, struct error *err);

/* adopt.c. All that is recorded of the model's states, anew. */
int pg_report_recorded(struct worker *w, const struct pg_model *m, const struct store_sink *sink,
		       struct error *err);
/* LOOK_FIRST, the windows being found. shape->oid 0: there is no table, and nothing in it. */
int pg_adopt(struct worker *w, struct pg_model *m, const struct pg_shape *shape, const PGresult *windows,
	     const struct store_sink *sink, struct error *err);

#endif

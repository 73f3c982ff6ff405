/* SPDX-License-Identifier: Apache-2.0 */
/* A batch's row in the queue, what is done of it elsewhere, and the two made into one. */
#ifndef BATCHFS_SQLITE_QUEUE_ROWS_H
#define BATCHFS_SQLITE_QUEUE_ROWS_H

#include "backend/sqlite/queue/queue.h"

/* The 4th interruption is a failure. */
#define INTERRUPTIONS_MAX 3

/* What the queue has of a batch. Text belongs to its statement. */
struct tried_row {
	const char *damaged; /* as in struct done_row */
	int64_t start, table_id;
	enum row_run run;
	uint32_t attempt;
	int64_t running_since, owner, request, served;
	int interruptions;
	enum row_outcome outcome; /* of outcome_attempt */
	uint32_t outcome_attempt;
	int64_t started, finished;
	const char *sqlstate, *message;
	/* Of the last build that was settled here. */
	int64_t built; /* 0: none */
	const char *code;
	int64_t rows_deleted, rows_inserted, rows_outside; /* -1: not known */
	bool adopted; /* somebody else's */
};

/* A higher one cannot be raised any more. */
#define ATTEMPT_MAX (INT32_MAX - 1)

/* A batch as both together have it. It points to itself: not to be copied. */
struct batch_row {
	struct store_state state; /* but for model and batch */
	uint32_t last_attempt;	  /* the highest ever given, void or not */
	int interruptions;
	bool in_answer;	  /* it shows a skip that was recorded as a range */
	char damage[160]; /* state.message, where a row is damaged: the batch counts as failed for that reason
			   */
};

/* Whether a batch of that size starts there: what no batch can have, no batch is shown for. */
bool row_start_fits(enum batch_size size, sqlite3_stmt *stmt, int column);
void done_read(sqlite3_stmt *stmt, struct done_row *row);
void tried_read(sqlite3_stmt *stmt, struct tried_row *row); /* columns: tried_columns of rows.sql */
/* Either may be NULL. The strings of *out are those of the rows. */
void merge_rows(const struct queue_model *m, const struct done_row *done, const struct tried_row *tried,
		struct batch_row *out);

/* What answers of ranges make of a batch (answer.c). */
struct answer_reader {
	sqlite3_stmt *served, *skipped, *unfold;
};
int answer_reader_open(struct answer_reader *a, sqlite3 *db, struct error *err);
void answer_reader_close(struct answer_reader *a);
int answer_put(struct answer_reader *a, const struct queue_model *m, int64_t start, struct batch_row *out,
	       struct error *err);
/* What is claimed or answered again shows a skip by its own row from then on. */
int answer_unfold(struct answer_reader *a, const struct queue_model *m, int64_t start,
		  const struct batch_row *row, struct error *err);

/* Looks single batches up; its statements stay prepared between two. */
struct row_reader {
	const struct done_rows *done;
	sqlite3_stmt *tried;
	struct answer_reader answers;
};
int reader_open(struct row_reader *r, const struct done_rows *done, sqlite3 *db, struct error *err);
void reader_close(struct row_reader *r);
/* Strings of *out are valid until the next call. */
int reader_get(struct row_reader *r, const struct queue_model *m, int64_t start, struct batch_row *out,
	       struct error *err);
/* The same of what is done alone: 1: there is such a row, 0: none. */
int done_get(const struct done_rows *done, int64_t table_id, int64_t start, struct done_row *out,
	     struct error *err);

#endif

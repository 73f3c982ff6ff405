/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the queue have of each other. */
#ifndef BATCHFS_SQLITE_QUEUE_PRIVATE_H
#define BATCHFS_SQLITE_QUEUE_PRIVATE_H

#include "backend/sqlite/queue/rows.h"
#include "backend/sqlite/queue/sql.h"

/* schema.c: makes or checks the tables; the file is open for writing. */
int queue_schema(sqlite3 *db, struct error *err);

/* store.c: the control thread's connections; -ECANCELED, -EROFS. */
int connect_control(struct store *s, struct error *err);
/* Of the control thread's transactions: in the file that was mounted, by the mount that writes it. */
int queue_begin(struct store *s, struct error *err);
int queue_commit(struct store *s,
		 struct error *err); /* -ETIMEDOUT: committed, into a file that was replaced */

/*
 * freeze.c. freeze_of(): 1, and what the statement SQL_FREEZE_FIND has of a window (its strings are the
 * statement's); 0: it is not frozen. freeze_change() is a part of the transaction of requests.
 */
int freeze_of(sqlite3_stmt *find, const struct model *m, int64_t queue_id, int64_t start,
	      struct store_freeze *out, struct error *err);
int freeze_change(struct store *s, struct row_reader *reader, struct store_request *rq,
		  const struct queue_model *qm, struct error *err);
int load_freezes(struct store *s, sqlite3 *db, slot model, int64_t queue_id, const struct store_sink *sink,
		 struct error *err);

/* refresh.c. refresh_record(): REQUEST_FULL, as a part of the transaction of requests, which are `all`. */
int refresh_record(struct store *s, struct store_request *rq, const struct queue_model *qm,
		   const struct store_request *all, size_t n, struct error *err);
/* 1: the table is being made anew; 0: it is not. */
int refresh_is_first(sqlite3 *db, int64_t queue_id, struct error *err);
int load_refresh(struct store *s, sqlite3 *db, slot model, int64_t queue_id, const struct store_sink *sink,
		 struct error *err);

/* load.c */
int load_requests(struct store *s, sqlite3 *db, slot model, int64_t queue_id, const struct store_sink *sink,
		  struct error *err);

/* answer.c. answer_range(): settles neighbours that were only queued, as a part of the transaction of
 * outcomes. */
int answer_range(struct store *s, struct store_outcome *o, struct error *err);
/* validations.c: after the states. */
int load_validations(struct store *s, sqlite3 *db, slot model, const struct store_sink *sink,
		     struct error *err);
int load_answers(struct store *s, sqlite3 *db, slot model, const struct store_sink *sink, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite engine: which file holds what, and why that is safe.
 *
 *   FILE        the warehouse. Rows, and of each batch its last successful build:
 *               batchfs_model, batchfs_state, batchfs_attempt. A batch's rows and its row
 *               in batchfs_state commit together.
 *   FILE-queue  what was asked for and tried: requests, claims, failures, freezes. A running batch
 *               holds FILE's write lock for as long as it takes; this file nobody holds for
 *               longer than a moment, so a touch, a claim or an outcome never waits for it.
 *   FILE-queue.lock  flock()ed for the store's life, with the pid inside: one writer a FILE.
 *
 * Invariants
 *   1. Attempt numbers of a batch rise with every claim, and are first written to FILE-queue.
 *   2. FILE is authoritative: where its attempt is at least that of FILE-queue's row, the
 *      attempt is done, whatever FILE-queue calls it. So a done batch needs no second commit
 *      (its row in FILE-queue goes on saying "running"), and a kill between the commit and
 *      anything later loses nothing. merge_rows() is the one place that knows this rule.
 *   3. A "running" row of another owner whose attempt FILE does not have was killed: it goes
 *      back to the queue when the model is enlisted, the 4th time it fails. The lock
 *      guarantees that such an owner is dead.
 *   4. batchfs_model.id is random and names one table for one batch size for as long as the
 *      table lives: the table carries it as the name of a trigger that never fires
 *      (batchfs_known_<id>), which SQLite drops with the table, moves when it is renamed and
 *      keeps over VACUUM, ALTER TABLE and a dump. A table without it is another table: its
 *      batches are adopted under a new id, and rows of either file under the old one are void.
 *   5. What is void keeps one thing: `served` of an idle row, so that a request that was
 *      answered is not answered again by rebuilding what was adopted.
 *   6. seq and the ids of requests start at the second FILE-queue was made, times 2^20: after
 *      the loss of FILE-queue they never repeat.
 *
 * No connection outlives open(), enlist() or load(): they may run before the process
 * forks into the background, and SQLite's locks do not cross a fork. The control thread and
 * each worker open their own at their first call.
 */
#ifndef BATCHFS_SQLITE_PRIVATE_H
#define BATCHFS_SQLITE_PRIVATE_H

#include <pthread.h>

#include "backend/base/cleanup.h"
#include "backend/builder.h"
#include "backend/sqlite/db.h"
#include "backend/store.h"

/* The 4th interruption is a failure. */
#define INTERRUPTIONS_MAX 3

/* A model as this warehouse knows it. Protected by store.lock but for what is marked. */
struct target {
	const struct model *model; /* immutable once enlisted */
	bool enlisted;		   /* set by enlist */
	int64_t queue_id;	   /* its id in FILE-queue; set by enlist; 0: none (read-only) */
	int64_t table_id;	   /* batchfs_model.id, or the one it will get */
	bool registered;	   /* batchfs_model has it */
	bool exists;		   /* the table is there */
	bool known;		   /* and it is the one that table_id names */
	char **columns;		   /* NULL-terminated: what an INSERT names; NULL: not known yet */
	enum time_type type;
	enum time_type *input_types; /* model->inputs order */
	struct sql_template *sql;    /* immutable once set */
};

struct store {
	struct engine_config config; /* immutable */
	char *file, *queue, *lock_path;
	int lock_fd;		/* -1: read-only */
	int64_t owner;		/* of this store's claims: random */
	struct target *targets; /* n, by slot. Immutable once enlisted, as is n */
	size_t n;

	/* The control thread's, opened at its first call. */
	sqlite3 *queue_db, *file_db;
	struct patience patience;

	pthread_mutex_t lock;
	pthread_cond_t woken_cond;
	bool woken;	/* lock */
	bool abandoned; /* __atomic; set under lock */
};

struct worker {
	struct store *store;
	sqlite3 *db; /* NULL: not opened yet */
	struct patience patience;
	bool busy;			 /* store.lock: a call is under way that interrupt() ends */
	int64_t outside;		 /* rows the running INSERT left out */
	enum time_type expected, misfit; /* what its event_times must be; the first other one, or unknown */
};

/* What FILE has of a batch. Text belongs to its statement. */
struct done_row {
	int64_t start;
	uint32_t attempt;
	int64_t started, finished, rows_deleted, rows_inserted, rows_outside;
	bool adopted;
	const char *code;
};

/* What FILE-queue has of a batch. Text belongs to its statement. */
struct tried_row {
	int64_t start, table_id;
	enum row_run run;
	uint32_t attempt;
	int64_t running_since, owner, request, served;
	int interruptions;
	enum row_outcome outcome; /* none, failed or skipped; of outcome_attempt */
	uint32_t outcome_attempt;
	int64_t started, finished;
	const char *sqlstate, *message;
};

/* A batch as both files together have it. */
struct batch_row {
	struct store_state state; /* but for model and batch */
	uint32_t last_attempt;	  /* the highest ever given, void or not */
	int interruptions;
};

/* lock.c */
int lock_take(const char *path, int *fd, struct error *err); /* -EBUSY: *err names the pid */
int lock_sign(int fd);					     /* writes our pid: after a fork it is another */

/* schema.c: makes or checks the tables; the file is open for writing. */
int schema_file(sqlite3 *db, struct error *err);
int schema_queue(sqlite3 *db, struct error *err);
int schema_check(sqlite3 *db, bool *present,
		 struct error *err); /* read-only: are they there, and readable by us */

/* connect.c */
int connect_file(struct store *s, struct patience *p, sqlite3 **out, struct error *err);
int connect_queue(struct store *s, struct patience *p, sqlite3 **out,
		  struct error *err);			    /* *out NULL: none, read-only */
int connect_control(struct store *s, struct error *err);    /* the control thread's two; -ECANCELED, -EROFS */
int store_usable(const struct store *s, struct error *err); /* -ECANCELED after abandon() */

/* rows.c */
#define DONE_COLUMNS                                                                                         \
	"start, attempt, started, finished, rows_deleted, rows_inserted, rows_outside, adopted, code"
#define TRIED_COLUMNS                                                                                        \
	"start, table_id, run, attempt, running_since, owner, request, served, interruptions, outcome, "     \
	"outcome_attempt, started, finished, sqlstate, message"
void done_read(sqlite3_stmt *stmt, struct done_row *row);
void tried_read(sqlite3_stmt *stmt, struct tried_row *row);
/* Either may be NULL. The strings of *out are those of the rows. */
void merge_rows(const struct target *t, const struct done_row *done, const struct tried_row *tried,
		struct batch_row *out);

/* Looks single batches up; statements stay prepared between two. */
struct row_reader {
	sqlite3_stmt *done, *tried; /* done NULL: FILE has no such table yet */
};
int reader_open(struct row_reader *r, sqlite3 *file, sqlite3 *queue, struct error *err);
void reader_close(struct row_reader *r);
/* Strings of *out are valid until the next call. */
int reader_get(struct row_reader *r, const struct target *t, int64_t start, struct batch_row *out,
	       struct error *err);

/* rows.c: never given before, by this warehouse or by one that it is copied or restored from. */
int64_t fresh_id(void);

/* sweep.c: invariant 3, for one model; inside a transaction of `queue`. mine: owner that is alive, 0: nobody
 * is. */
int sweep_model(struct store *s, sqlite3 *queue, sqlite3 *file, const struct target *t, int64_t mine,
		struct error *err);

/* freeze.c. freeze_of(): 1, and what the statement of freeze_find has of a window (its strings are the
 * statement's); 0: it is not frozen. freeze_change() is a part of the transaction of requests. */
extern const char freeze_find[];
int freeze_of(sqlite3_stmt *find, const struct model *m, int64_t queue_id, int64_t start,
	      struct store_freeze *out, struct error *err);
int freeze_change(struct store *s, struct row_reader *reader, struct store_request *rq,
		  const struct target *t, struct error *err);
int load_freezes(struct store *s, sqlite3 *queue, slot model, int64_t queue_id, const struct store_sink *sink,
		 struct error *err);

/* load.c: the states of one model; queue NULL, or `tables` false: FILE-queue or FILE has none. */
int load_states(struct store *s, sqlite3 *file, sqlite3 *queue, bool tables, slot model,
		const struct store_sink *sink, struct error *err);

/* worker.c: around every call of a worker. enter connects; leave rolls back what is left open. */
int worker_enter(struct worker *w, struct error *err);
void worker_leave(struct worker *w);
int worker_checked(const struct worker *w, struct error *err); /* -ECANCELED after interrupt() or abandon() */
/* Compiles SQL of ours: a "name" that is no column is an error, not a string. */
int worker_prepare(struct worker *w, const char *sql, sqlite3_stmt **out, struct error *err);
/* Compiles SQL with the model's query in it: it may read, and write what the statement itself names. */
int worker_prepare_model(struct worker *w, const char *sql, sqlite3_stmt **out, struct error *err);

/* A copy of what the control thread needs, under the lock. */
struct target target_copy(struct store *s, slot model);

/* store operations, a file each */
int sqlite_open(const struct engine_config *config, struct store **out, struct error *err);
void sqlite_close(struct store *s);
void sqlite_wake(struct store *s);
void sqlite_abandon(struct store *s);
int sqlite_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err);
int sqlite_enlist(struct store *s, const struct model *const *models, struct store_target *targets, size_t n,
		  struct error *err);
int sqlite_load(struct store *s, const struct store_sink *sink, struct error *err);
int sqlite_request(struct store *s, struct store_request *requests, size_t n, struct error *err);
int sqlite_retire(struct store *s, const int64_t *ids, size_t n, struct error *err);
int sqlite_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err);
int sqlite_settle(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err);

/* builder operations */
int sqlite_worker_open(struct store *s, struct worker **out, struct error *err);
void sqlite_worker_close(struct worker *w);
void sqlite_interrupt(struct worker *w);
int sqlite_prepare(struct worker *w, slot model, struct store_target *target, struct error *err);
int sqlite_adopt(struct worker *w, slot model, const struct store_sink *sink, struct error *err);
int sqlite_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
		 struct error *err);
int sqlite_history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		   void *ctx, struct error *err);
int sqlite_prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err);
int sqlite_statements(struct store *s, slot model, struct ordinal_range batches, struct strbuf *out,
		      struct error *err);

#endif

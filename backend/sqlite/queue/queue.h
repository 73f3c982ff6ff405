/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue: a store in an SQLite file of its own. It keeps what was asked for and tried: requests, claims,
 * outcomes, freezes. Nobody holds that file for longer than a moment, so a touch, a claim or an outcome never
 * waits for a batch. Of tables it knows what store.h says: a model has a target, and a batch of it may be
 * done.
 *
 * Two kinds of owners use it:
 *
 *   queue_store    a store by itself, for a builder whose rows are elsewhere (another warehouse). What is
 * done is settled here, as every other outcome is. an engine      that keeps the rows in SQLite, too, has a
 * struct store within a struct of its own (warehouse.h is one). Its builder records what is done in its own
 * file, in the transaction of the rows, and gives the queue statements that read it: struct done_rows.
 *
 * PATH.lock beside the file is locked for the store's life: one writer a file. Should that be got round (by
 * removing it), the mount that wrote its number into the file last is the one that writes: a former one
 * notices.
 *
 * A file that is deleted or replaced while it is mounted is noticed (db/watch.h) before anything is written,
 * and once more before it is acknowledged. Nothing is recorded any more then, until the very file is back;
 * what another file in its place says is another mount's business, because all that this one shows was in the
 * former.
 *
 * Invariants
 *   1. Attempt numbers of a batch rise with every claim, and are first written to the queue.
 *   2. Where there are done_rows they are authoritative: where a row's attempt is at least that of the
 *      queue's row, the attempt is done, whatever the queue calls it. So a done batch needs no second
 *      commit (its row in the queue goes on saying "running"), and a kill between the commit and anything
 *      later loses nothing. merge_rows() is the one place that knows this rule.
 *   3. A "running" row of another owner whose attempt is not done was killed: it goes back to the queue when
 *      the model is enlisted, the 4th time it fails. The lock guarantees that such an owner is dead.
 *   4. Rows belong to what table_id names: the table that the engine knows under the target's name. Rows of
 *      another table_id are void, except for one thing: `served` of an idle row, so that a request that
 *      was answered is not answered again by rebuilding what was adopted.
 *   5. seq and the ids of requests start at the second in which the file was made, times 2^20: after the loss
 *      of the file they never repeat.
 *
 * No connection outlives open(), enlist() or load(): they may run before the process forks into the
 * background, and SQLite's locks do not cross a fork. The control thread opens its own at its first call.
 */
#ifndef BATCHFS_SQLITE_QUEUE_H
#define BATCHFS_SQLITE_QUEUE_H

#include <pthread.h>

#include "backend/base/cleanup.h"
#include "backend/builder.h"
#include "backend/sqlite/db/watch.h"
#include "backend/store.h"

/* A model as the queue knows it. Protected by store.lock. */
struct queue_model {
	const struct model *model; /* held; the control thread changes it, and reads it without the lock */
	enum batch_size size;	   /* immutable */
	bool loaded;	      /* the control thread's: what is recorded since loaded_begin was reported */
	int64_t loaded_begin; /* us */
	bool gone;	      /* the control thread's: the model is in the manifest no more */
	bool astray; /* the control thread's: and another one has taken over its target; what was reported is
			void */
	bool enlisted;
	bool met;	  /* of a table that is elsewhere: it was looked at, or refreshed in full, once */
	bool looked;	  /* of a table that is elsewhere: queue_adopt() has recorded what it holds */
	int64_t queue_id; /* its permanent id; 0: none (read-only) */
	int64_t table_id; /* what its batches are rows of */
	bool is_void;	  /* the table that is there is another one: nothing that is recorded counts */
};

/*
 * Statements over what is done and recorded elsewhere; their columns are those of struct done_row. Both NULL:
 * nothing is.
 */
struct done_rows {
	sqlite3_stmt *one; /* ?1 table_id, ?2 start */
	sqlite3_stmt *all; /* ?1 table_id; by start */
};
void done_rows_close(struct done_rows *d);

/* What an engine adds to its queue; each is called on the control thread. */
struct queue_hooks {
	/* Before anything is written, and before it is acknowledged: -EHOSTUNREACH, the file is another one.
	 * contents: it is looked into, once connect() has been called. */
	int (*usable)(struct store *s, bool contents, struct error *err);
	/* Opens the engine's own connection, at the control thread's first call; kept in store.done. */
	int (*connect)(struct store *s, struct done_rows *out, struct error *err);
};

struct store {
	struct engine_config config;	 /* immutable */
	const struct queue_hooks *hooks; /* immutable */
	char *path, *lock_path;
	int lock_fd;   /* -1: read-only */
	int64_t owner; /* of this store's claims: random */
	/* By slot, reserved for SLOTS_MAX. What is a slot's stays where it is; n is changed under lock. */
	struct queue_model *models;
	size_t n;

	/* The control thread's, opened at its first call. */
	sqlite3 *db;
	struct done_rows done;
	struct patience patience;
	struct file_watch watch; /* lock; changed at open and by the control thread alone */

	pthread_mutex_t lock;
	pthread_cond_t woken_cond;
	bool woken;	/* lock */
	bool abandoned; /* __atomic; set under lock */
};

/* What is done of a batch and recorded elsewhere. Text belongs to its statement. */
struct done_row {
	const char *damaged; /* the first column that holds what it cannot hold; NULL: none */
	int64_t start;
	uint32_t attempt;
	int64_t started, finished, rows_deleted, rows_inserted, rows_outside; /* rows null: -1, not known */
	bool adopted;
	const char *code;
};

/* ---- store.c: the life of a store ---- */

/* The store by itself; config.database is its file. And its members, for who opens it otherwise. */
extern const struct store_ops queue_store;
void queue_alone_close(struct store *s);
int queue_alone_enlist(struct store *s, const struct model *const *models, struct store_target *targets,
		       size_t n, struct error *err);
int queue_alone_load(struct store *s, const struct store_sink *sink, struct error *err);
int queue_alone_check(struct store *s, const struct store_sink *sink, struct error *err);

/* What it knows of a model's target without asking anybody. Whether there is a table only the builder can
 * tell: who reads it waits for its batches, not for it. */
void queue_target(struct store *s, slot model, struct store_target *out);

/* records.c: the worker of the store by itself. It builds nothing, and finds nothing out. */
extern const struct builder_ops queue_records;

/* `s` is zeroed, a part of the caller's own. Nothing is opened yet. queue_fini() comes after a failure, too.
 */
int queue_init(struct store *s, const struct engine_config *config, const char *path,
	       const struct queue_hooks *hooks, struct error *err);
/* Makes or checks the file and takes its lock; with read_only only looks. */
int queue_open(struct store *s, struct error *err);
/* What still runs here goes back to the queue. No other call may be under way. */
void queue_put_back(struct store *s);
void queue_fini(struct store *s);

int store_usable(const struct store *s, struct error *err); /* -ECANCELED after abandon() */
/* A connection for the calling thread; *out NULL: read-only, and there is no such file. */
int queue_connect(struct store *s, struct patience *p, sqlite3 **out, struct error *err);

/* Store operations. */
int queue_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err);
void queue_wake(struct store *s);
void queue_abandon(struct store *s);
int queue_request(struct store *s, struct store_request *requests, size_t n, struct store_claim *claim,
		  struct error *err);
int queue_retire(struct store *s, const int64_t *ids, size_t n, struct error *err);
int queue_recode(struct store *s, slot model, const char *was, const struct store_sink *sink,
		 struct error *err);
int queue_orphans(struct store *s, struct store_orphan *list, size_t n, struct error *err);
int queue_recall(struct store *s, const struct compiled_sql *asked, size_t n, compiled_sql_fn *tell,
		 void *ctx, struct error *err);
int queue_remember(struct store *s, const struct compiled_sql *list, size_t n, struct error *err);
int queue_forget_answers(struct store *s, const int64_t *ids, size_t n, struct error *err);
int queue_refresh(struct store *s, struct refresh_step *step, const struct store_sink *sink,
		  struct error *err);
int queue_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err);
int queue_settle(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err);

/* ---- for what an engine does itself; `db` is a connection of the caller's ---- */

/* schema.c: is the queue there, and readable by us. */
int queue_schema_check(sqlite3 *db, bool *present, struct error *err);

/*
 * model.c: finds the model of that target or enters it, inside a transaction. queue_id 0: `db` is read-only
 * and does not have it. table_id is that of the last time, or a new one.
 */
int queue_model_find(sqlite3 *db, const char *target, enum batch_size size, struct queue_model *out,
		     struct error *err);
/* request.c: what the model is made of now can be built again. Inside a transaction of the queue. */
int queue_offer(struct store *s, sqlite3 *db, slot model, struct error *err);
/* Enlisting: take() gives the slots these facts, settle() leaves it at that, or takes it back. settle() comes
 * after a failure, too. */
struct queue_change {
	const struct model **was; /* n; NULL: a new slot */
	size_t n, was_n;
};
int queue_models_take(struct store *s, const struct model *const *models, size_t n, struct queue_change *out,
		      struct error *err);
void queue_models_settle(struct store *s, struct queue_change *change, bool stays);
/* Once all are enlisted: marks the gone ones whose target, and states, are another's now. */
void queue_models_astray(struct store *s);
size_t queue_models_count(struct store *s); /* any thread */
/* A copy, under the lock. */
struct queue_model queue_model_of(struct store *s, slot model);
/* Never given before, by this file or by one that it is copied or restored from. */
int64_t fresh_id(void);

/* sweep.c: invariant 3, for one model; inside a transaction. mine: an owner that is alive, 0: nobody is. */
int queue_sweep(struct store *s, sqlite3 *db, const struct done_rows *done, slot model, int64_t mine,
		struct error *err);

/*
 * adopt.c: records what a look at a table that is elsewhere has found, and reports what that changes, as
 * builder.look does. `db` is a connection of the caller's, outside of a transaction. A batch that was
 * built with an unknown number of rows may hold none: only with the table does it go.
 * -EBUSY: the table was made anew since.
 */
int queue_adopt(struct store *s, sqlite3 *db, slot model, enum look_kind kind,
		const struct found_windows *found, const struct store_sink *sink, struct error *err);

/* load.c: everything recorded, requests and freezes before states. db NULL: there is no queue. */
int queue_load(struct store *s, sqlite3 *db, const struct done_rows *done, const struct store_sink *sink,
	       struct error *err);
/* The states of one model. */
int queue_load_states(struct store *s, sqlite3 *db, const struct done_rows *done, slot model,
		      const struct store_sink *sink, struct error *err);

/* refresh.c: 1: that full refresh is in its clear phase; 0: it is not. */
int queue_refresh_clears(sqlite3 *db, int64_t queue_id, int64_t id, struct error *err);

/*
 * history.c: attempts as builder.history tells them. An engine that records some of them elsewhere gives a
 * statement for those: ?1 the last id that was read, ?2 table_id (0: of all), ?3 how many at most; columns as
 * in history.sql. db NULL: there is no queue.
 */
int queue_history(struct store *s, sqlite3 *db, sqlite3_stmt *elsewhere, slot model, size_t most,
		  char **cursor, ended_attempt_fn *tell, void *ctx, struct error *err);

/*
 * prune.c: forgets old attempts as builder.prune does, then requests that nothing names. first_named: the
 * lowest id of a request that attempts elsewhere name, INT64_MAX: none.
 */
int queue_prune(sqlite3 *db, int64_t queue_id, size_t keep, int64_t before, int64_t first_named,
		struct error *err);
/* Deletes in short transactions what `sql` finds too old: ?1 id, ?2 keep less one, ?3 before, ?4 how many at
 * once. */
int delete_old(sqlite3 *db, const char *sql, int64_t id, size_t keep, int64_t before, struct error *err);

/* validations.c: as builder.keep_validations. */
int queue_keep_validations(struct store *s, sqlite3 *db, struct store_validation *list, size_t n,
			   struct error *err);

#endif

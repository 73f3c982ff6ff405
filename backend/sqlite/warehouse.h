/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite engine: which file holds what, and why that is safe.
 *
 *   FILE        the warehouse. Rows, and of each batch its last successful build:
 *               batchfs_model, batchfs_state, batchfs_attempt. A batch's rows and its row
 *               in batchfs_state commit together. A running batch holds FILE's write lock for as long as it
 * takes. FILE-queue  what was asked for and tried (queue/queue.h).
 *
 * batchfs_model.id is random and names one table for one batch size for as long as the table lives: the table
 * carries it as the name of a trigger that never fires (batchfs_known_<id>), which SQLite drops with the
 * table, moves when it is renamed and keeps over VACUUM, ALTER TABLE and a dump. A table without it is
 * another table: its batches are adopted under a new id, and rows of either file under the old one are void.
 * It is the queue's table_id.
 */
#ifndef BATCHFS_SQLITE_WAREHOUSE_H
#define BATCHFS_SQLITE_WAREHOUSE_H

#include <stddef.h>

#include "backend/sqlite/queue/queue.h"
#include "backend/verdict.h"

/* The kinds of need (verdict.h) that models are built with here: none besides SQL and a window. */
#define SQLITE_SUPPORTS UINT64_C(0)

/*
 * A model as one manifest has it: another manifest brings another one for the same slot. A worker holds the
 * one that was in force when its call began, so that what runs goes on with it.
 */
struct edition {
	unsigned refs;		     /* store.lock */
	const struct model *model;   /* held */
	struct sql_template *sql;    /* immutable once enlisted; NULL: the model cannot be built here */
	enum time_type *input_types; /* store.lock; model->inputs order */
	struct error unbuilt;	     /* the control thread's; err != 0: why it cannot be built, for ever */
};

/* A model's table as this warehouse knows it. Protected by store.lock but for what is marked. */
struct target {
	bool registered; /* batchfs_model has it */
	bool exists;	 /* the table is there */
	bool known;	 /* and it is the one that table_id names */
	unsigned busy;	 /* workers that prepare it or meet it */
	char **columns;	 /* NULL-terminated: what an INSERT names; NULL: not known yet */
	enum time_type type;
	struct edition *edition; /* in force; the control thread changes it, and reads it without the lock */
};

/* The engine's store: the queue, and the tables beside it. */
struct warehouse {
	struct store store;
	char *file;
	struct target *targets;	 /* by slot, reserved for SLOTS_MAX */
	sqlite3 *db;		 /* FILE, the control thread's */
	int64_t cookie;		 /* the control thread's: of the schema whose targets were told of */
	int64_t glanced_at;	 /* the control thread's: monotonic */
	struct file_watch watch; /* of FILE; store.lock; changed at open and by the control thread alone */
};

static inline struct warehouse *warehouse_of(struct store *s)
{
	return (struct warehouse *)((char *)s - offsetof(struct warehouse, store));
}

struct worker {
	struct store *store;
	struct edition *edition; /* held while a call that is about a model is under way; else NULL */
	sqlite3 *db;		 /* NULL: not opened yet */
	struct patience patience;
	struct last_look *looks;	 /* by slot, of a worker that looks (look.c); NULL: it never did */
	bool busy;			 /* store.lock: a call is under way that interrupt() ends */
	int64_t outside;		 /* rows the running INSERT left out */
	enum time_type expected, misfit; /* what its event_times must be; the first other one, or unknown */
	int guard;			 /* enum guard: what the statement that is compiled or runs may do */
	char denied[256];		 /* the first thing that it must not do, "" : none */
};

/* open.c */
int warehouse_open(const struct engine_config *config, struct store **out, struct error *err);
void warehouse_close(struct store *s);
int warehouse_load(struct store *s, const struct store_sink *sink, struct error *err);
int warehouse_connect(struct store *s, struct patience *p, sqlite3 **out, struct error *err);
/* w->db is there. On the control thread. */
int warehouse_control(struct store *s, struct error *err);
/* A copy, under the lock. */
struct file_watch warehouse_watch(struct store *s);

/* follow.c */
int warehouse_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err);
int warehouse_check(struct store *s, const struct store_sink *sink, struct error *err);

/* edition.c */
struct edition *edition_new(const struct model *m);	  /* NULL: no memory */
struct edition *edition_get(struct store *s, slot model); /* counted; any thread */
void edition_put(struct store *s, struct edition *e);	  /* NULL is fine; without the lock */

/* enlist.c */
int warehouse_enlist(struct store *s, const struct model *const *models, struct store_target *targets,
		     size_t n, struct error *err);

/* worker.c: around every call of a worker. enter connects, and holds the model's edition (SLOT_NONE: the call
 * is about none); leave rolls back what is left open. */
int worker_enter(struct worker *w, slot model, struct error *err);
void worker_leave(struct worker *w);
int worker_checked(const struct worker *w, struct error *err); /* -ECANCELED after interrupt() or abandon() */
/* Compiles SQL of ours: a "name" that is no column is an error, not a string. */
int worker_prepare(struct worker *w, const char *sql, sqlite3_stmt **out, struct error *err);

/* builder operations */
int sqlite_worker_open(struct store *s, const char *lane, struct worker **out, struct error *err);
void sqlite_worker_close(struct worker *w);
void sqlite_interrupt(struct worker *w);
int sqlite_prepare(struct worker *w, slot model, bool make, struct store_target *target, struct error *err);
int sqlite_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
		struct error *err);
int sqlite_clear(struct worker *w, struct clear_step *step, struct error *err);
int sqlite_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
		 struct error *err);
int sqlite_history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		   void *ctx, struct error *err);
int sqlite_prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err);
int sqlite_validate(struct worker *w, slot model, struct ordinal_range batches, struct tally *out,
		    struct error *err);
int sqlite_keep_validations(struct worker *w, struct store_validation *list, size_t n, struct error *err);
int sqlite_statements(struct store *s, slot model, struct ordinal_range batches, struct strbuf *out,
		      struct error *err);

#endif

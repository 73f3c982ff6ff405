/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this engine share. Threads: as backend/store.h and backend/builder.h say. */
#ifndef BATCHFS_POSTGRES_PGSTORE_H
#define BATCHFS_POSTGRES_PGSTORE_H

#include "backend/base/cleanup.h"
#include "backend/guest.h"
#include "backend/postgres/cancel.h"
#include "backend/postgres/connect.h"
#include "backend/postgres/home.h"
#include "backend/postgres/pipe.h"

/* The kinds of need (verdict.h) that models are built with here. */
#define PG_SUPPORTS                                                                                          \
	(SUPPORTS(NEED_SCHEMA_CHANGE) | SUPPORTS(NEED_HOOK) | SUPPORTS(NEED_CONTRACT) |                      \
	 SUPPORTS(NEED_GRANTS) | SUPPORTS(NEED_SQL_HEADER))

/* What the database says of a model's target and inputs. Immutable; counted. */
struct pg_shape {
	unsigned refs;	/* under store.lock */
	uint32_t oid;	/* of the target; 0: there is none */
	char kind;	/* pg_class.relkind */
	bool indexed;	/* an index leads with event_time */
	bool expressed; /* an index leads with an expression */
	bool secured;	/* the target has row level security: a DELETE of ours must not be told less */
	bool limited;	/* a column of the target is a varchar(n): it may have to be widened */
	bool ranged;	/* it is partitioned by range of event_time: batches may be partitions */
	char *hinders;	/* why no partition of it may be exchanged: "belongs to ..."; "": one may; NULL: there
			   is none */
	char *columns;	/* quoted, as an insert lists them; NULL: there is no target */
	enum time_type type;   /* of the target's event_time */
	enum time_type *types; /* one an input */
	struct error why_not;  /* err != 0: a type that no window can be cut from, or no table */
	bool unfit;	       /* and that is about the target itself: nobody can look at it */
};

/*
 * A model as one manifest has it: another manifest brings another one for the same slot. Counted: a worker
 * holds the one that was in force when its call began (model_get()), so that what runs goes on with it.
 */
struct pg_model {
	struct store *store;
	unsigned refs;		   /* under store.lock */
	const struct model *model; /* held */
	slot index;
	int id;	       /* batchfs.model.id; 0: none. Read by pg_id(): another schema has another one */
	bool enlisted; /* constant once the store has it, as are target and sql */
	bool loaded;   /* the control thread's: what is recorded of it since loaded_begin was reported */
	int64_t loaded_begin; /* us */
	bool gone;	      /* the control thread's: the model is in the manifest no more */
	bool astray;  /* the control thread's: and another one has taken over its target, and its states */
	bool anew;    /* the control thread's: it was astray; what was reported of it then is void */
	char *target; /* "schema"."table" */
	char *column; /* name of the event_time column, unquoted; NULL: it is an expression */
	struct sql_template *sql; /* NULL: this engine does not build it, and looks at it all the same */
	bool guest;		  /* the mount's guest does (guest.h) */
	char other_sizes[32];	  /* in which its target was built, too. Under store.lock */
	bool loses_outside;	  /* model_loses_outside() */
	struct error unbuilt;	  /* the control thread's; err != 0: why it cannot be built, for ever */
	unsigned busy;		  /* workers that prepare it or meet it. Under store.lock */
	uint32_t accepted;	  /* oid of the target that the states are of; 0: none. Under store.lock */
	struct pg_shape *shape;	  /* the last one seen; may be NULL. Under store.lock */
};

/* A claim whose commit has no known fate: what it may have granted goes back to the queue. */
struct pg_doubt {
	int id; /* batchfs.model.id */
	int64_t started;
	struct pg_doubt *next;
};

/* What never changes of a slot. */
struct id_index {
	int id;
	slot index;
	enum batch_size size;
	bool gone, builds;
};

struct store {
	const struct engine_config *config;
	int64_t owner;	     /* random: this mount, and the origin of what its workers write */
	struct pg_home home; /* where control is */
	struct pg_conn control;
	unsigned ready;	   /* generation of the control connection that holds the liveness lock */
	unsigned planned;  /* generation of the control connection on which planned.c has prepared all */
	int64_t *sessions; /* all that this mount has had, the present one last */
	size_t n_sessions;
	int64_t session; /* random for each such connection: its lock, and the origin of what it writes */
	int wake_fd, abandon_fd;
	/* Held while states are read and told, by the control thread or by who looks, so that nothing older
	 * is told over newer news. Before lock; queries under it have a deadline. */
	pthread_mutex_t telling;
	pthread_mutex_t lock; /* innermost: nothing is waited for under it */
	bool changed;	      /* something was committed since the last notice. Under lock */
	/* By slot, reserved for SLOTS_MAX. The control thread changes it, and n, under lock, and reads it
	 * without; others by model_get(). */
	struct pg_model **models;
	size_t n;
	struct id_index *by_id; /* sorted by id. Under lock, as is n_ids */
	size_t n_ids;
	bool strange; /* schema batchfs is another one than was read: it is met anew by the next connection */
	bool anew;    /* what is recorded is not what it was: follow() reads all of it again */
	unsigned lives;	    /* of home: those whose states were read */
	struct pg_own *own; /* rows that say that we run them, of before that */
	size_t n_own, own_size;
	struct store_target *met; /* by slot, what the next follow() reports; NULL: nothing */
	char *codes,
		*begins;   /* array literals: what this mount has said that it can build; NULL: nothing yet */
	bool forgetful;	   /* the role may not remember SQL, and the log has said so */
	bool plain;	   /* messages go in ASCII: the database does not know a character of one */
	bool schema;	   /* there is a schema batchfs (without it, read only: nothing is known) */
	char identity[37]; /* which it is, as meta says. Under lock */
	int version;	   /* of it and of the program. Under lock */
	char *cursor;	   /* pg_snapshot up to which everything was reported; NULL: nothing */
	bool notified;	   /* another mount has said that there is news */
	int64_t polled_at, swept_at, noticed_at, met_at; /* us, monotonic */
	int64_t read_at;	   /* our clock: everything until then was reported; 0: nothing */
	int64_t retry_at, backoff; /* of the control connection */
	struct error refused;	   /* why the last connect failed */
	int64_t last_started;	   /* of a claim: rises, so that it names the claim */
	struct pg_doubt *doubts;
	bool claimed; /* ever: else there is nothing of ours to put back */
};

struct worker {
	struct store *store;
	struct pg_conn conn;
	struct pg_cancel cancel;
	unsigned prepared; /* generation of the connection that has our named statements */
	unsigned runs;	   /* built since */
	slot ran; /* the model whose SQL has run in the session since it was made anew; SLOT_NONE: of none */
	bool clean;		  /* all that it built there is done */
	struct pg_writes *writes; /* by slot, of a worker that looks (look.h); NULL: it never did */
};

/* store.c */
int64_t pg_deadline(const struct store *s);
int64_t pg_random_id(void);
/* The control connection, with the liveness lock held. Within the backoff the last refusal, unless `now`. */
int store_connect(struct store *s, bool now, struct error *err);
void store_changed(struct store *s);
struct id_index store_slot(struct store *s, int64_t id); /* id 0: not enlisted here. Any thread */

static inline bool model_builds(const struct pg_model *m)
{
	return m->sql || m->guest;
}

/* model.c */
/* Of these facts, with what is known of the one that is in force for the slot. Counted; NULL: no memory. */
struct pg_model *model_new(struct store *s, slot model, const struct model *m);
/* Its target, and its SQL where that can be built here, once. -errno: it cannot even be looked at; else
 * why_not may say why it cannot be built. */
int model_make(struct pg_model *pm, struct error *why_not);
struct pg_model *model_get(struct store *s, slot model); /* counted: the one that is in force. Any thread */
void model_busy(struct pg_model *m, bool begins);	 /* a worker prepares it or meets it */
void model_put(struct pg_model *m);			 /* NULL is fine. Without the lock */
static inline void model_put_cleanup(struct pg_model **m)
{
	model_put(*m);
}
#define auto_model __attribute__((cleanup(model_put_cleanup)))

/* guard.c: transactions that make sure of the schema; -EAGAIN (a worker: -EHOSTUNREACH): it is another one,
 * nothing was done */
void store_begin(struct store *s, struct pg_pipe *p);
void store_begin_claim(struct store *s, struct pg_pipe *p);
void store_begin_snapshot(struct store *s, struct pg_pipe *p);
int store_run(struct store *s, struct pg_pipe *p, struct error *err);
/* A statement on the control connection, alone, of the schema: it may be gone. */
int store_query(struct store *s, const char *sql, const struct pg_params *params, PGresult **out,
		struct error *err);

/* planned.c: statements of ours that the server plans once a connection. */
enum planned {
	PLANNED_SETTINGS,
	PLANNED_SETTINGS_OF_CLAIM,
	PLANNED_LOCK_MODELS,
	PLANNED_RECORD,
	PLANNED_MAKE_ROWS,
	PLANNED_CLAIM,
	PLANNED, /* how many there are */
};
/* On a new control connection. A failure of the connection only; a statement that cannot be prepared goes as
 * text from then on. */
int planned_prepare(struct store *s, struct error *err);
size_t planned_add(const struct store *s, struct pg_pipe *p, enum planned which,
		   const struct pg_params *params);

/*
 * claim.c: a claim as a part of a pipe. uuid: of the request that it is for, where that travels before it;
 * NULL: the claim names it. *at: the number of what grants it. After the pipe has run, claim_doubts() once:
 * what may have been granted by a commit without a known fate goes back.
 */
int claim_add(struct store *s, struct pg_pipe *p, struct store_claim *c, const char *uuid,
	      struct pg_doubt **doubts, size_t *at, struct error *err);
void claim_take(const struct store *s, const struct pg_pipe *p, size_t at, struct store_claim *c);
void claim_doubts(struct store *s, struct pg_doubt *list, bool lost);

/* targets.c: tells of targets that were made, dropped or exchanged by others, where that is due. *next: when
 * it will be. */
int targets_follow(struct store *s, const struct store_sink *sink, int64_t *next, struct error *err);

/* follow.c: queues the notice that is due, in a segment of its own behind everything else. */
void add_notice(struct store *s, struct pg_pipe *p);

/* enlist.c */
int enlist_again(struct store *s, struct error *err); /* in another schema; fills s->met */
bool ids_of_all(struct store *s, struct strbuf *ids); /* an array of them; false: there is none */
static inline int pg_id(const struct pg_model *m)
{
	return __atomic_load_n(&m->id, __ATOMIC_RELAXED);
}

/* anew.c, on the control thread */
int schema_again(struct store *s, struct error *err);
int states_anew(struct store *s, const struct store_sink *sink, struct error *err);
/* Puts back what says that it runs here and does not. Looked at again and again until none is left: an end
 * that was reported before the loss may come to be known late. */
int own_check(struct store *s, const struct store_sink *sink, struct error *err);

/* names.c. What the server keeps of a name, in bytes. */
#define NAME_LONGEST 63
/* As the server cuts it, between two characters. */
size_t kept_length(const char *name);
void quote_name(struct strbuf *b, const char *name);
/* The column that an event_time is, folded and unquoted, or NULL: it is an expression. *failed: no memory. */
char *plain_column(const char *event_time, bool *failed);
/* Valid UTF-8 of at most `max` bytes; what is not becomes '?', and with `ascii` every other character, too:
 * for a database that does not know it. NULL: no memory. */
char *clean_text(const char *text, size_t max, bool ascii);

/* shape.c. Queues the questions about the models' targets and inputs; then, once the pipe has run, takes the
 * answers: out[i] is counted. The two halves of shape_read() but for what describe_types() asks. */
struct shape_asked {
	size_t targets, inputs; /* the statements' numbers */
};
int shape_add(struct pg_pipe *p, struct pg_model *const *models, size_t n, struct shape_asked *asked,
	      struct error *err);
int shape_take(struct store *s, const struct pg_pipe *p, const struct shape_asked *asked,
	       struct pg_model *const *models, size_t n, struct pg_shape **out, struct error *err);
/* Whether the same statements are sent for both. */
bool shape_same(const struct pg_model *m, const struct pg_shape *a, const struct pg_shape *b);
int shape_read(struct store *s, struct pg_conn *c, struct pg_model *const *models, size_t n,
	       struct pg_shape **out, int64_t deadline, struct error *err);
struct pg_shape *shape_new(const struct model *m);
struct pg_shape *shape_get(struct store *s, struct pg_model *m); /* counted; NULL: none yet */
void shape_put(struct store *s, struct pg_shape *shape);
void shape_keep(struct store *s, struct pg_model *m,
		struct pg_shape *shape); /* the model's last one; counts it */
enum time_type shape_type(uint32_t oid);

/* columns.c. Whether the target's columns may have to be changed for what the query yields. */
bool columns_may_change(const struct pg_model *m, const struct pg_shape *shape);
/*
 * Compares what the query yields with what the target has, and lets the shape's columns be those that an
 * insert lists. 0; 1: the target's are to be changed, as on_schema_change says, or, with `change`, were.
 * -EOPNOTSUPP: on_schema_change is fail. Outside of any transaction, in a session for models.
 */
int columns_compare(struct worker *w, const struct pg_model *m, struct pg_shape *shape, bool change,
		    struct error *err);

/* contract.c: 0, or -EOPNOTSUPP: the query does not yield what the contract says. */
int contract_check(struct worker *w, const struct pg_model *m, const PGresult *yielded, struct error *err);
void contract_write_table(const struct model *m, struct strbuf *sql); /* "(a integer not null, ...)" */
char *column_name(const struct column_config *column);

/* attributes.c: gives the target its grants and comments. */
int attributes_apply(struct worker *w, const struct pg_model *m, uint32_t oid, struct error *err);

/* header.c: queues the model's sql_header, if it has one. */
void header_add(struct pg_pipe *p, const struct model *m);

/* describe.c: whether describe_types() has anything to ask of the model. */
bool describe_asks(const struct pg_model *m);
/* The types of event_times that are expressions, or come from ephemeral models */
int describe_types(struct store *s, struct pg_conn *c, struct pg_model *const *models, size_t n,
		   struct pg_shape **shapes, int64_t deadline, struct error *err);

/* row.c: rows as load and follow read them */
bool state_read(struct store *s, const PGresult *r, int row, struct store_state *out, int64_t *owner);
void report_states(struct store *s, const PGresult *r, const struct store_sink *sink, bool skip_own);
void report_requests(struct store *s, const PGresult *r, const struct store_sink *sink);
/* By the columns with these numbers: of each row's model everything up to there is reported. */
void report_known(struct store *s, const PGresult *r, int model, int seq, int id,
		  const struct store_sink *sink);
void report_answers(struct store *s, const PGresult *r, const struct store_sink *sink);

/* request.c: the first six parameters, which all requests have in common: uuid, model, range, uid, command.
 * The texts are the caller's, and must outlive *v. */
void request_params(const struct store *s, const struct store_request *q, const char *uuid,
		    const char *command, struct pg_params *v);

/* freeze.c: requests that freeze, thaw, protect; and what is frozen, by model */
void freeze_add(struct store *s, struct pg_pipe *p, const struct store_request *q, const char *uuid,
		const char *command);
void freeze_answer(const struct store *s, struct store_request *q, const PGresult *r);
int report_freezes(struct store *s, const PGresult *r, const struct store_sink *sink, struct error *err);

/* render.c: the statements of one batch; shape's types decide the literals. Around the DELETE from a target
 * with row level security, which is the role's own for everything else: off makes an error of rows that it
 * would hide. */
extern const char *const render_unsecured, *const render_secured;
int render_delete(const struct pg_model *m, const struct pg_shape *shape, ordinal batch, struct strbuf *out,
		  struct error *err);
int render_insert(const struct pg_model *m, const struct pg_shape *shape, ordinal batch, const char *table,
		  struct strbuf *out,
		  struct error *err); /* into the target, or a table that has its columns */
/* `... where et >= L and et < L` of the target */
int render_window(const struct pg_model *m, enum time_type type, int64_t start, int64_t end,
		  struct strbuf *out, struct error *err);

/* load.c */
typedef void report_states_fn(struct store *s, const PGresult *r, const struct store_sink *sink);
int load_all(struct store *s, const struct store_sink *sink, report_states_fn *report, struct error *err);
/* All states and requests once more, but for what runs here. */
int load_again(struct store *s, const struct store_sink *sink, struct error *err);

/* sweep.c: *found: something has changed */
int sweep(struct store *s, const struct store_sink *sink, bool *found, struct error *err);

/* withdraw.c: what was put back after it had been cancelled; cancels that have nothing left to do */
int withdraw(struct store *s, const struct store_sink *sink, bool *found, struct error *err);

/* grant.c: 0, or -EACCES with *err: what is missing to build into the target, with its GRANT */
int check_rights(struct pg_conn *c, const struct pg_model *m, uint32_t oid, int64_t deadline,
		 struct error *err);

/* accept.c: which targets are those that the states are of */
struct pg_known {
	uint32_t oid; /* the one recorded; 0: none */
	bool look;    /* out: the table is another one or has gone, or holds rows and was never met */
};
/* Decides for each model whose shape has a target; records what may be built into at once. */
int accept_targets(struct store *s, struct pg_conn *c, struct pg_model *const *models,
		   struct pg_shape *const *shapes, struct pg_known *known, size_t n, int64_t deadline,
		   struct error *err);
void describe_target(const struct pg_conn *c, const struct pg_model *m, const struct pg_shape *shape,
		     bool look, struct store_target *out);

/* settle.c: a statement that takes these ids, in a transaction of the store. */
int settle_ids(struct store *s, const char *sql, const int64_t *ids, size_t n, struct error *err);

int pg_recode(struct store *s, slot model, const char *was, const struct store_sink *sink, struct error *err);
int pg_forget_answers(struct store *s, const int64_t *ids, size_t n, struct error *err);

/* create.c: makes the target, its schema and its indexes, unless somebody else has. shape: the types of the
 * inputs. */
int create_target(struct worker *w, struct pg_model *m, const struct pg_shape *shape, struct error *err);

/* resolve.c: what became of an attempt whose connection was lost. Waits until it is certain, or abandoned. */
enum build_outcome resolve(struct worker *w, const struct pg_model *m, struct build_report *report,
			   struct error *err);

/* worker.c */
int pg_worker_open(struct store *s, const char *lane, struct worker **out, struct error *err);
void pg_worker_close(struct worker *w);
void pg_interrupt(struct worker *w);
/* Deadlocks, lost connections and the like: the same may succeed when tried again. */
bool passing_state(const char *sqlstate);

int pg_open(const struct engine_config *config, struct store **out, struct error *err);
void pg_close(struct store *s);
int pg_enlist(struct store *s, const struct model *const *models, struct store_target *targets, size_t n,
	      struct error *err);
int pg_load(struct store *s, const struct store_sink *sink, struct error *err);
int pg_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err);
int pg_check(struct store *s, const struct store_sink *sink, struct error *err);
int pg_request(struct store *s, struct store_request *requests, size_t n, struct store_claim *claim,
	       struct error *err);
int pg_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err);
int pg_settle(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err);
int pg_retire(struct store *s, const int64_t *ids, size_t n, struct error *err);
int pg_prepare(struct worker *w, slot model, bool make, struct store_target *target, struct error *err);
int pg_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
	    struct error *err);
int pg_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
	     struct error *err);
int pg_history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell, void *ctx,
	       struct error *err);
int pg_prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err);
int pg_statements(struct store *s, slot model, struct ordinal_range batches, struct strbuf *out,
		  struct error *err);

#endif

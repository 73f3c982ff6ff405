/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine declares of itself, and the only way to its ops tables: every call of an op goes through
 * the function of the same name below. A model that the engine's guest builds (guest.h) is handed to the
 * guest here, so that nobody else asks who builds what: a worker is one of both, and the guest's half is
 * opened when it is needed first. The wrapper checks the contract that store.h and builder.h state (who
 * calls, in which order, with what, and what may come back), writes one line to the log at debug, and lets a
 * layer of a test wait or fail in the engine's place. A broken contract is an internal fault: the log says so
 * at error, beginning with "broken contract:", the engine is not called, and the answer is -EIO.
 */
#ifndef BATCHFS_ENGINE_H
#define BATCHFS_ENGINE_H

#include "backend/guest.h"
#include "backend/store.h"

struct engine_layer;

/* The options of the command line that only some engines understand: a bit each. */
enum engine_option {
	ENGINE_SERVICE = 1,
	ENGINE_ROLE = 2,
	ENGINE_DATABASE = 4,
	ENGINE_PROJECT = 8,
	ENGINE_PROFILES = 16,
	ENGINE_TARGET = 32,
	ENGINE_DBT = 64,
	ENGINE_CHUNK = 128,
	/* An engine that looks at its own tables sees what they hold, so that no file has to say it. */
	ENGINE_ADOPT = 256,
	/* What makes a guest, and what only a guest has a use for. */
	ENGINE_OF_GUEST = ENGINE_PROJECT | ENGINE_PROFILES | ENGINE_TARGET | ENGINE_DBT | ENGINE_CHUNK,
};

struct engine {
	const char *name; /* as `-o engine=` and the manifest's adapter_type have it */
	/* As `-o store=` has it; NULL: the one that has no name of its own, because it is the engine's. */
	const char *store_name;
	const struct store_ops *store;
	/* Of what the store's worker does itself; where `elsewhere` says that it builds nothing: of what is
	 * recorded only. */
	const struct builder_ops *builder;
	struct builder_traits native; /* of that */
	/* Builds what `native` does not, over the same store, where project= says which project that is. */
	const struct guest_builder *guest;
	bool elsewhere; /* as in engine_config.h: the guest builds all */
	unsigned takes,
		needs; /* enum engine_option: what it understands; of that, what it cannot do without */
	const char *given_by;  /* how its warehouse is given, for a person: "database=FILE" */
	unsigned max_jobs;     /* how many batches it can build side by side; 0: as many as are asked for */
	unsigned jobs_default; /* 0: as for every engine */
	bool asked_looks;      /* a look costs so much that the clock asks for none, unless look= says so */
	bool stores_anew;      /* its store records full refreshes that make a table anew (REFRESH_FIRST) */
	/*
	 * Appends what a person may do where open() has failed with the errno `err`; nothing where that is
	 * not known. NULL: it never is.
	 */
	void (*hint)(const struct engine_config *config, int err, struct strbuf *out);
	const struct engine_layer *layer; /* of a test, in front of both tables; NULL: none */
};

/* Who builds the model, or would if it could be built. */
const struct builder_traits *engine_builder(const struct engine *e, const struct model *m);
static inline const char *engine_store_name(const struct engine *e)
{
	return e->store_name ? e->store_name : e->name;
}
/* Who looks at tables, and validates what is in them. */
static inline const struct builder_traits *engine_looks(const struct engine *e)
{
	return e->elsewhere ? &e->guest->traits : &e->native;
}
/* The kinds of need that models are built with by one of its builders. */
uint64_t engine_supports(const struct engine *e);

extern const struct engine engine_postgres, engine_sqlite, engine_dbt, engine_dbt_postgres;
extern const struct guest_builder guest_dbt;

/* The ops that a layer can stand in front of. */
enum engine_op {
	OP_OPEN,
	OP_ENLIST,
	OP_LOAD,
	OP_FOLLOW,
	OP_CHECK,
	OP_REQUEST,
	OP_CLAIM,
	OP_SETTLE,
	OP_RETIRE,
	OP_FORGET_ANSWERS,
	OP_REFRESH,
	OP_RECODE,
	OP_ORPHANS,
	OP_RECALL,
	OP_REMEMBER,
	OP_PREPARE,
	OP_LOOK,
	OP_CLEAR,
	OP_BESIDE,
	OP_BUILD,
	OP_HISTORY,
	OP_PRUNE,
	OP_VALIDATE,
	OP_KEEP_VALIDATIONS,
	ENGINE_OPS,
};

const char *engine_op_name(enum engine_op op);

/* A store and its guest, and a worker of both, with what the wrappers remember of each. */
struct open_store;
struct open_worker;

/*
 * Members as in store.h and builder.h. The store is controlled by the thread that has opened it, until
 * another takes that over; whoever closes it does so when every other call has returned and every worker is
 * closed.
 */
int store_open(const struct engine *engine, const struct engine_config *config, struct open_store **out,
	       struct error *err);
void store_close(struct open_store *s); /* NULL is fine */

/* From now on the calling thread is the store's control thread. No call of the former one is under way. */
void store_take_control(struct open_store *s);

int store_enlist(struct open_store *s, const struct model *const *models, struct store_target *targets,
		 size_t n, struct error *err);
int store_load(struct open_store *s, const struct store_sink *sink, struct error *err);
int store_follow(struct open_store *s, int timeout_ms, const struct store_sink *sink, struct error *err);
int store_check(struct open_store *s, const struct store_sink *sink, struct error *err);
void store_wake(struct open_store *s);
void store_abandon(struct open_store *s);
int store_request(struct open_store *s, struct store_request *requests, size_t n, struct store_claim *claim,
		  struct error *err);
int store_claim(struct open_store *s, struct store_claim *claims, size_t n, struct error *err);
int store_settle(struct open_store *s, struct store_outcome *outcomes, size_t n, struct error *err);
int store_retire(struct open_store *s, const int64_t *ids, size_t n, struct error *err);
int store_recode(struct open_store *s, slot model, const char *was, const struct store_sink *sink,
		 struct error *err);
int store_orphans(struct open_store *s, struct store_orphan *list, size_t n, struct error *err);
int store_recall(struct open_store *s, const struct compiled_sql *asked, size_t n, compiled_sql_fn *tell,
		 void *ctx, struct error *err);
int store_remember(struct open_store *s, const struct compiled_sql *list, size_t n, struct error *err);
int store_refresh(struct open_store *s, struct refresh_step *step, const struct store_sink *sink,
		  struct error *err);
int store_forget_answers(struct open_store *s, const int64_t *ids, size_t n, struct error *err);

/* The worker belongs to the calling thread. */
int builder_worker_open(struct open_store *s, const char *lane, struct open_worker **out, struct error *err);
void builder_worker_close(struct open_worker *w); /* NULL is fine */
int builder_prepare(struct open_worker *w, slot model, bool make, struct store_target *target,
		    struct error *err);
int builder_look(struct open_worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
		 struct error *err);

int builder_clear(struct open_worker *w, struct clear_step *step, struct error *err);
int builder_beside(struct open_worker *w, struct beside_step *step, struct error *err);

/* Every batch that has an attempt is reported once, whatever the engine does: one that the engine has
 * forgotten is BUILD_UNSTARTED. */
int builder_build(struct open_worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
		  struct error *err);
void builder_interrupt(struct open_worker *w);
int builder_history(struct open_worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		    void *ctx, struct error *err);
int builder_prune(struct open_worker *w, slot model, size_t keep, int64_t before, struct error *err);
int builder_validate(struct open_worker *w, slot model, struct ordinal_range batches, struct tally *out,
		     struct error *err);
int builder_keep_validations(struct open_worker *w, struct store_validation *list, size_t n,
			     struct error *err);
int builder_statements(struct open_store *s, slot model, struct ordinal_range batches, struct strbuf *out,
		       struct error *err);

/* One call of an op, as a layer sees it. */
struct engine_call {
	enum engine_op op;
	struct open_store *store;   /* NULL while it is being opened */
	struct open_worker *worker; /* NULL: an op of the store */
	const struct engine *engine;
	const struct log *log;
	int64_t begun;	/* monotonic */
	bool reached;	/* the contract was kept and the layer lets it through */
	char about[96]; /* for the log; "" where nobody would read it */
};

/* Whether the call is to end now: the store is abandoned, or the worker interrupted. Any thread. */
bool engine_call_ended(const struct engine_call *call);

/*
 * Stands between the wrappers and an engine. Its functions run on the caller's thread; a layer finds what is
 * its own by the address of the table (container_of).
 */
struct engine_layer {
	/* 0: the engine is called; -errno with *err: it is not. May wait, as long as the call has not ended.
	 */
	int (*before)(const struct engine_layer *layer, const struct engine_call *call, struct error *err);
	/* r is the engine's answer. Returns what the caller is told. */
	int (*after)(const struct engine_layer *layer, const struct engine_call *call, int r,
		     struct error *err);
	/* In the place of both, for build: calls engine_call_build() for what it lets through. */
	int (*build)(const struct engine_layer *layer, const struct engine_call *call,
		     const struct build_run *run, build_report_fn *report, void *ctx, struct error *err);
};

/* For a layer's build(): the engine's own. */
int engine_call_build(const struct engine_call *call, const struct build_run *run, build_report_fn *report,
		      void *ctx, struct error *err);

#endif

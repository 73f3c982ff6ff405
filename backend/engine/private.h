/* SPDX-License-Identifier: Apache-2.0 */
/* What the wrappers remember, and the two ways into a call and out of it. */
#ifndef BATCHFS_ENGINE_PRIVATE_H
#define BATCHFS_ENGINE_PRIVATE_H

#include <pthread.h>

#include "backend/base/cleanup.h"
#include "backend/engine.h"

enum store_phase { PHASE_OPEN, PHASE_ENLISTED, PHASE_LOADED };

struct open_store {
	const struct engine *engine;
	struct engine_config config;
	struct store *store;
	struct guest *guest; /* NULL: it has none */
	const struct log *log;
	bool read_only;
	pthread_mutex_t lock; /* of what follows; never held while the engine is called */
	enum store_phase phase;
	pthread_t control; /* the thread that may make calls */
	bool busy;	   /* such a call is under way */
	unsigned workers;  /* open */
	bool abandoned;
	const struct model **facts; /* by slot, held: what the store was told last. NULL: gone */
	size_t n_facts;
};

struct open_worker {
	struct open_store *store;
	const char *lane;
	struct worker *worker;
	pthread_t owner;
	pthread_mutex_t lock;	    /* of what follows */
	struct guest_worker *guest; /* NULL: not needed so far */
	bool busy;		    /* a call of its owner is under way */
	bool interrupted;	    /* and somebody has asked for its end */
};

/* Says so in the log and in *err. Returns -EIO. */
int broken_contract(const struct log *log, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Each call is entered once and left once, whatever entering has answered. Entering checks who calls and
 * when, then asks the layer. Leaving takes the result, checks and logs it, and returns what the caller is
 * told.
 */
int store_enter(struct open_store *s, struct engine_call *call, enum engine_op op, enum store_phase least,
		struct error *err);
int builder_enter(struct open_worker *w, struct engine_call *call, enum engine_op op, struct error *err);
int call_leave(struct engine_call *call, int r, struct error *err);

/* facts.c: what each slot stands for. After a store_enlist() that has succeeded; -ENOMEM: nothing was kept.
 */
int facts_take(struct open_store *s, const struct model *const *models, size_t n, struct error *err);
void facts_drop(struct open_store *s);
/* Held: model_drop() gives them back. NULL: the model is in the manifest no more. Any thread. */
const struct model *facts_hold(struct open_store *s, slot model);
/* Whether the guest builds it. */
bool facts_guest(const struct open_store *s, const struct model *m);
/* Whether both have one builder, or none. */
bool facts_same_builder(const struct open_store *s, const struct model *a, const struct model *b);

/* Of a model that the guest builds (NULL: of none): what it would not do to the target, as its why_not. */
void facts_refuse(const struct open_store *s, const struct model *m, struct store_target *target);

/* Asks the layer. */
int call_before(struct engine_call *call, struct error *err);

/* What the call is about, for the log. */
void call_about(struct engine_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

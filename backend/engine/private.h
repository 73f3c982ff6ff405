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
	struct store *store;
	const struct log *log;
	bool read_only;
	pthread_mutex_t lock; /* of what follows; never held while the engine is called */
	enum store_phase phase;
	pthread_t control; /* the thread that may make calls */
	bool busy;	   /* such a call is under way */
	unsigned workers;  /* open */
	bool abandoned;
};

struct open_worker {
	struct open_store *store;
	struct worker *worker;
	pthread_t owner;
	pthread_mutex_t lock; /* of what follows */
	bool busy;	      /* a call of its owner is under way */
	bool interrupted;     /* and somebody has asked for its end */
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

/* Asks the layer. */
int call_before(struct engine_call *call, struct error *err);

/* What the call is about, for the log. */
void call_about(struct engine_call *call, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

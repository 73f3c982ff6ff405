/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer of delays, holds and errors in front of an engine (backend/engine.h): what a test cannot ask of a
 * real warehouse at the right moment. Everything else goes through unchanged.
 *
 * The rules come from the environment variable BATCHFS_FAULT and, as long as the
 * file named by BATCHFS_FAULT_FILE exists, from that file instead; it is looked at again
 * at every call and while a call is held. Rules are separated by ';' or newlines:
 *
 *   OP:ACTION[,ACTION...]
 *     OP      as engine_op_name() has it
 *     ACTION  delay=MS       waits before the call
 *             hold           waits until the rule is gone
 *             error=E[*N]    the call fails and never reaches the engine, N times (default: always)
 *             lose=E[*N]     the call reaches the engine, its answer is lost: it fails all the same
 *     E       the name of an errno (EHOSTUNREACH); for build a SQLSTATE (40001) too: the batch fails, in
 *             passing where the class is 08, 40, 53, 55 or 57
 *
 * A build waits behind its report that the batch has begun. Delays and holds end when the store is abandoned
 * and, in a worker, when the worker is interrupted. N counts from the last change of the rules' text, over
 * all stores of the process.
 */
#ifndef BATCHFS_TESTS_FAULT_H
#define BATCHFS_TESTS_FAULT_H

#include <pthread.h>

#include "backend/engine.h"
#include "tests/fault/rules.h"

/* One for all the engines of a process. */
struct fault_layer {
	struct engine_layer layer;
	pthread_mutex_t lock;
	struct fault_rules rules; /* lock */
};

void fault_layer_init(struct fault_layer *f);
void fault_layer_fini(struct fault_layer *f); /* when no engine uses it any more */

/* The engine behind the layer, which must outlive it. */
struct engine fault_wrap(struct fault_layer *f, const struct engine *inner);

#endif

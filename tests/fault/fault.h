/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine that is another engine behind a layer of delays, holds and errors:
 * what a test cannot ask of a real warehouse at the right moment. Everything else goes
 * through unchanged.
 *
 * The rules come from the environment variable BATCHFS_FAULT and, as long as the
 * file named by BATCHFS_FAULT_FILE exists, from that file instead; it is looked at again
 * at every call and while a call is held. Rules are separated by ';' or newlines:
 *
 *   OP:ACTION[,ACTION...]
 *     OP      open enlist load follow request claim settle retire (of the store),
 *             prepare adopt build history prune (of the builder)
 *     ACTION  delay=MS       waits before the call
 *             hold           waits until the rule is gone
 *             error=E[*N]    the call fails and never reaches the engine, N times (default: always)
 *             lose=E[*N]     the call reaches the engine, its answer is lost: it fails all the same
 *     E       the name of an errno (EHOSTUNREACH); for build a SQLSTATE (40001) too: the batch fails, in
 * passing where the class is 08, 40, 53, 55 or 57
 *
 * A build waits behind its report that the batch has begun. Delays and holds end at abandon() and,
 * in a worker, at interrupt(). N counts from the last change of the rules' text.
 */
#ifndef BATCHFS_TESTS_FAULT_H
#define BATCHFS_TESTS_FAULT_H

#include "backend/builder.h"

#define FAULT_ENGINES 4

/*
 * *out is `inner` behind the layer; both must outlive its stores. Before any thread, at most
 * FAULT_ENGINES times in a process. -ENOSPC: too often.
 */
int fault_wrap(const struct engine *inner, struct engine *out);

#endif

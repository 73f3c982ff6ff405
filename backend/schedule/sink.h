/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_SINK_H
#define BATCHFS_SCHEDULE_SINK_H

#include "backend/backend.h"

struct store_sink;
struct store_state;

/* Fills *sink, and returns it. */
const struct store_sink *backend_sink(struct backend *b, struct store_sink *sink);

/*
 * A state that a look has read of a table that was known: taken as the sink's, unless this mount runs the
 * batch or has claimed it, or a newer attempt is known. Both under one lock.
 */
void sink_seen(struct backend *b, const struct store_state *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_SINK_H
#define BATCHFS_SCHEDULE_SINK_H

#include "backend/backend.h"

struct store_sink;

/* Fills *sink, and returns it. */
const struct store_sink *backend_sink(struct backend *b, struct store_sink *sink);

#endif

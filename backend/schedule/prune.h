/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts that are too many are forgotten, on a lane. */
#ifndef BATCHFS_SCHEDULE_PRUNE_H
#define BATCHFS_SCHEDULE_PRUNE_H

#include "backend/schedule/lane.h"

lane_source_fn prune_source;

#endif

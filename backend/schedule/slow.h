/* SPDX-License-Identifier: Apache-2.0 */
/* What a lane does that may take as long as reading a table, and that nobody but its own model waits for. */
#ifndef BATCHFS_SCHEDULE_SLOW_H
#define BATCHFS_SCHEDULE_SLOW_H

#include "backend/schedule/lane.h"

lane_source_fn refusal_source; /* a target that refused may have changed */
lane_source_fn look_source;    /* a table is to be looked at */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a lane does for the readers of histories. */
#ifndef BATCHFS_SCHEDULE_HISTORY_JOB_H
#define BATCHFS_SCHEDULE_HISTORY_JOB_H

#include "backend/schedule/lane.h"

lane_source_fn history_source;

/* Its lane ends: who waits for a history, now or later, gets -ECANCELED. */
void history_end(struct backend *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validations are asked for and cancelled. Either is recorded by the lane of the histories, which is never
 * long: the validations have one of their own, which may be reading a table for minutes.
 */
#ifndef BATCHFS_SCHEDULE_VALIDATION_ASK_H
#define BATCHFS_SCHEDULE_VALIDATION_ASK_H

#include <sys/queue.h>

#include "backend/schedule/lane.h"

/* Protected by the lock. */
struct validation_note;
STAILQ_HEAD(validation_notes, validation_note);

/* A source of the lane of the histories. */
bool validation_note_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us);

/* That lane ends: nothing will be recorded any more. */
void validation_notes_end(struct backend *b);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Claims and hands out what waits. On the control thread, without the lock. */
#ifndef BATCHFS_SCHEDULE_WORK_H
#define BATCHFS_SCHEDULE_WORK_H

#include "backend/backend.h"

struct job_worker;
struct store_claim;
struct store_request;

int work_hand_out(struct backend *b, struct error *err);
/*
 * Where nothing else waits and a worker is idle, the one batch that is about to be asked for can be claimed
 * on the same way: fills *claim and returns the worker, which stays idle until then; NULL: it takes its turn.
 */
struct job_worker *work_ahead(struct backend *b, const struct store_request *r, struct store_claim *claim);
void work_grant(struct backend *b, struct job_worker *w, const struct store_claim *c);

#endif

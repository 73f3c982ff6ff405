/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_WORKER_H
#define BATCHFS_SCHEDULE_WORKER_H

void *worker_main(void *job_worker);

#endif

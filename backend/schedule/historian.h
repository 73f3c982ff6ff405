/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_HISTORIAN_H
#define BATCHFS_SCHEDULE_HISTORIAN_H

void *historian_main(void *backend);

#endif

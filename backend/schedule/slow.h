/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_SLOW_H
#define BATCHFS_SCHEDULE_SLOW_H

void *slow_main(void *backend);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_CONTROL_H
#define BATCHFS_SCHEDULE_CONTROL_H

void *control_main(void *backend);

#endif

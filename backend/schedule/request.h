/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_SCHEDULE_REQUEST_H
#define BATCHFS_SCHEDULE_REQUEST_H

#include "backend/schedule/ask.h"
#include "backend/schedule/expand.h"

/* Without the lock. Sends a request for each stretch, as members of the group. *ticket: the first; 0: there
 * is nothing to send. -ENOMEM. */
int request_send(struct backend *b, struct ask_group *g, const struct backend_request *r,
		 const struct stretches *all, uint64_t *ticket);

#endif

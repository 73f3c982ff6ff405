/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for a full refresh that are refused at once. */
#ifndef BATCHFS_SCHEDULE_REFRESH_ASK_H
#define BATCHFS_SCHEDULE_REFRESH_ASK_H

#include "backend/backend.h"

/* Without the lock: why the request, of which each part is a model, is refused at once. 0: it is not. */
int refresh_refused(struct backend *b, const struct backend_request *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Without the lock: why something was not taken, for the next who asks, and for the log. */
#ifndef BATCHFS_SCHEDULE_REFUSE_H
#define BATCHFS_SCHEDULE_REFUSE_H

#include "backend/backend.h"

struct store_request;

/* What cannot be sent at once: why->err with the sentence; returns -why->err. */
int refuse_part(struct backend *b, const struct backend_file *file, const struct backend_part *part,
		uid_t uid, const struct error *why);
/* On the control thread: what the store has not taken; tells the listener. */
void refuse_request(struct backend *b, const struct store_request *r, int err, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* All requests that wait to be sent. On the control thread, without the lock. */
#ifndef BATCHFS_SCHEDULE_ASKS_H
#define BATCHFS_SCHEDULE_ASKS_H

#include "backend/backend.h"

/* Before asks_send(): to a store what is claimed runs, so what has not begun is taken back before a freeze is
 * sent. Whether anything was: then it is to be settled first. */
bool asks_clear(struct backend *b);
void asks_send(struct backend *b);
/* Answers the freezes that are recorded and shown by this mount; at_once: all that are recorded. */
void asks_frozen(struct backend *b, bool at_once);
void asks_fail(struct backend *b, int err); /* answers everything that was not sent */

#endif

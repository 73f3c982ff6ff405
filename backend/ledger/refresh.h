/* SPDX-License-Identifier: Apache-2.0 */
/* The full refresh of a model, as it was reported last. */
#ifndef BATCHFS_LEDGER_REFRESH_H
#define BATCHFS_LEDGER_REFRESH_H

#include "backend/ledger.h"

struct model_state;

void refresh_forget(struct ledger *l, struct model_state *m);
/* Its request was given a reason. */
void refresh_set_reason(struct ledger *l, int64_t request, const char *reason);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_LEDGER_PUT_H
#define BATCHFS_LEDGER_PUT_H

#include "backend/ledger.h"

/* Whatever was known before: this is the last that happened to the batch. */
int state_put(struct ledger *l, const struct store_state *s);

/* As ledger_forget(), but for the batches of that range. */
void forget_but(struct ledger *l, slot model, struct ordinal_range stays);

#endif

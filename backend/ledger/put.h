/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_LEDGER_PUT_H
#define BATCHFS_LEDGER_PUT_H

#include "backend/ledger.h"

/* Whatever was known before: this is the last that happened to the batch. */
int state_put(struct ledger *l, const struct store_state *s);

#endif

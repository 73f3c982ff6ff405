/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_LEDGER_REQUESTS_H
#define BATCHFS_LEDGER_REQUESTS_H

#include "backend/ledger.h"

struct recorded_request;
struct model_state;
struct open_request;

bool request_has(const struct open_request *r, ordinal batch);	  /* whether it still waits for it */
ordinal request_next(const struct open_request *r, ordinal from); /* the first it waits for, or its end */
ordinal request_gap(const struct open_request *r, ordinal from);  /* the first it does not wait for */
struct open_request *request_newest(const struct ledger *l, slot model, ordinal batch); /* that wants it */
void request_serve(struct ledger *l, slot model, ordinal batch, int64_t served);
/* The same for all of the range; its flags follow. */
void request_serve_range(struct ledger *l, slot model, struct ordinal_range batches, int64_t served);
/* It waits for nothing more; it may wait for nothing. */
void request_void(struct ledger *l, struct recorded_request *k);
void requests_free(struct ledger *l, struct model_state *m);

#endif

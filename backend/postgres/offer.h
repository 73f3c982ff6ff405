/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount can build stands beside its sign of life, so that others know what waits for nobody. */
#ifndef BATCHFS_POSTGRES_OFFER_H
#define BATCHFS_POSTGRES_OFFER_H

#include "backend/postgres/pgstore.h"

/* The codes of the models that are to be built here, and their begins. */
struct offer {
	struct strbuf codes, begins; /* array literals, once it has been made */
};
void offer_add(struct offer *o, const struct model *m);
void offer_fini(struct offer *o);

/* On the control thread, connected, not with read_only: all mounts know of it from then on. After a failure
 * they know of the former. */
int offer_make(struct store *s, struct offer *o, struct error *err);

/* An array of the sessions that this mount has had on the control connection: the origins of its requests. */
void own_sessions(const struct store *s, struct strbuf *out);

int pg_orphans(struct store *s, struct store_orphan *list, size_t n, struct error *err);

#endif

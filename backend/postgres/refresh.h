/* SPDX-License-Identifier: Apache-2.0 */
/* Full refreshes: refresh.c on the control thread, clear.c on a worker's. */
#ifndef BATCHFS_POSTGRES_REFRESH_H
#define BATCHFS_POSTGRES_REFRESH_H

#include "backend/postgres/pgstore.h"

/*
 * refresh.c: a request to refresh in full, as a part of request's transaction; `all` are the n requests of
 * that, with which it may stand and fall. And what load and follow report.
 */
int refresh_add(struct store *s, struct pg_pipe *p, const struct store_request *q, const char *uuid,
		const char *command, const char *reason, const struct store_request *all, size_t n,
		struct error *err);
void refresh_recorded(struct store *s, struct store_request *q, const PGresult *r);
void report_refreshes(struct store *s, const PGresult *r, const struct store_sink *sink);
int refreshes_load(struct store *s, const struct pg_params *models, const struct store_sink *sink,
		   struct error *err);
int pg_refresh(struct store *s, struct refresh_step *step, const struct store_sink *sink, struct error *err);

/* clear.c */
int pg_clear(struct worker *w, struct clear_step *step, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_MANIFEST_MACROS_H
#define BATCHFS_MANIFEST_MACROS_H

#include "backend/manifest/loader.h"

/* A macro of the project or of a package that is not dbt's own. */
struct macro {
	const json_t *json;
	const char *sql;
	const char *file; /* for a person: its file, and its package where that is not the project */
};

/*
 * Calls `visit` for each macro that the model calls, directly or through others, once. False: the visitor
 * said so, or there is no memory. Macros that come with dbt or its adapter are passed over: what they do is
 * known.
 */
bool macros_of(struct loader *l, const struct model *m, bool (*visit)(void *ctx, const struct macro *macro),
	       void *ctx);

/* Whether the node or macro calls is_incremental() or should_full_refresh(), as dbt has noted it. */
bool calls_is_incremental(const json_t *of);

/*
 * Finds the macros of the project and its packages that take the place of one with which dbt builds
 * microbatch models. Once, before the models.
 */
int find_own_strategy(struct loader *l);

#endif

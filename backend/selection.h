/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dbt's selection syntax -> what it selects of a catalog. Pure: any thread, no
 * file is looked at. It answers as `dbt ls --select EXPRESSION` of dbt-core 1.11.
 *
 *     a b               union                a,b               intersection
 *     x+  +x  2+x+1     with what reads it, with what it reads, so many steps far
 *     @x                with what reads it and everything that those read
 *     METHOD:VALUE      tag:nightly, config.batch_size:hour, path:models/staging ...
 *     a --exclude b     a without b
 */
#ifndef BATCHFS_SELECTION_H
#define BATCHFS_SELECTION_H

#include <stddef.h>

#include "backend/base/error.h"
#include "backend/manifest.h"

struct selection {
	int *nodes; /* places in catalog.nodes, ascending: all that is selected, of any type */
	size_t n_nodes;
	int *models; /* places in catalog.models; each model stands behind all that it reads, directly or
			through others */
	size_t n_models;
	/*
	 * The names of the selected models that are no microbatch models, sorted: `name`, `name.v2`, or
	 * `package.name` where two packages have a model of that name.
	 */
	char **not_rebuilt;
	size_t n_not_rebuilt;
};

/*
 * Fills *out, which the caller gives to selection_fini(); nothing in it points into the catalog. An
 * expression that matches nothing is no failure. -EINVAL with *err: the expression is not dbt's syntax, or
 * its method is unknown or needs more than a manifest. -ENOMEM. *out is empty after a failure.
 */
int selection_resolve(const struct catalog *c, const char *expression, struct selection *out,
		      struct error *err);

void selection_fini(struct selection *s);

#endif

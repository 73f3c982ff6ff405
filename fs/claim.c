/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/claim.h"

#include "fs/name_grace.h"
#include "fs/node.h"
#include "fs/private.h"

bool claim_holds(struct fs *fs, const struct node *n, const struct batch_glance *glance, int64_t *left_us)
{
	*left_us = INT64_MAX;
	if (!n->suffix || suffix_of(glance->state) == n->suffix)
		return true;
	*left_us = name_grace_left(&fs->name_graces, n->model, n->ordinal, n->suffix, clock_monotonic_us());
	return *left_us > 0;
}

int claim_check(struct fs *fs, const struct node *n)
{
	struct batch_glance glance;

	if (!node_traits(n)->batch || !n->suffix)
		return 0;
	int r = backend_glance(fs->backend, n->model, n->ordinal, &glance);
	if (r)
		return r;
	/* The store has the last word; this is what is known here. */
	return suffix_of(glance.state) == n->suffix ? 0 : -ENOENT;
}

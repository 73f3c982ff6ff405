/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/failure_snapshot.h"

#include <stdlib.h>

#define AT_ONCE 256
/* No attempt has this number. */
#define WELL UINT32_MAX

struct failure_snapshot {
	struct scope scope;
	uint32_t failed[]; /* of each batch, one part after the other: the attempt that failed, or WELL */
};

static uint32_t failed_attempt(const struct batch_glance *g)
{
	return batch_state_traits(g->state)->wrong ? g->attempt : WELL;
}

/* Goes on from part *i, batch *first of it; the next glances, of neighbours. 0: there are no more. */
static size_t next(const struct backend *b, const struct scope *scope, size_t *i, ordinal *first,
		   struct batch_glance glances[AT_ONCE])
{
	for (; *i < scope->n; ++*i) {
		const struct backend_part *p = &scope_list(scope)[*i];
		ordinal at = *first > p->batches.first ? *first : p->batches.first;
		if (at < p->batches.end) {
			size_t left = p->batches.end - at;
			size_t n = left < AT_ONCE ? left : AT_ONCE;
			backend_glances(b, p->model, at, n, glances);
			*first = at + (ordinal)n;
			return n;
		}
		*first = 0;
	}
	return 0;
}

struct failure_snapshot *failure_snapshot_take(const struct backend *b, const struct scope *scope)
{
	struct batch_glance glances[AT_ONCE];
	size_t all = 0, at = 0, part = 0, n;
	ordinal first = 0;

	for (size_t i = 0; i < scope->n; i++)
		all += scope_list(scope)[i].batches.end - scope_list(scope)[i].batches.first;
	struct failure_snapshot *s = malloc(sizeof(*s) + all * sizeof(s->failed[0]));
	if (!s || scope_copy(&s->scope, scope)) {
		free(s);
		return NULL;
	}
	while ((n = next(b, scope, &part, &first, glances)))
		for (size_t i = 0; i < n; i++)
			s->failed[at++] = failed_attempt(&glances[i]);
	return s;
}

void failure_snapshot_free(struct failure_snapshot *s)
{
	if (s)
		scope_fini(&s->scope);
	free(s);
}

bool failure_snapshot_has_grown(const struct failure_snapshot *s, const struct backend *b)
{
	struct batch_glance glances[AT_ONCE];
	size_t at = 0, part = 0, n;
	ordinal first = 0;

	while ((n = next(b, &s->scope, &part, &first, glances)))
		for (size_t i = 0; i < n; i++, at++) {
			uint32_t now = failed_attempt(&glances[i]);
			if (now != WELL && now != s->failed[at])
				return true;
		}
	return false;
}

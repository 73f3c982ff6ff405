/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/marks.h"

#include <stdlib.h>

#define AT_ONCE 256
/* No attempt has this number. */
#define WELL UINT32_MAX

struct marks {
	int model;
	struct ordinal_range batches;
	uint32_t failed[]; /* the attempt that failed, or WELL */
};

static uint32_t failed_attempt(const struct batch_glance *g)
{
	return g->state == BATCH_FAILED || g->state == BATCH_SKIPPED ? g->attempt : WELL;
}

struct marks *marks_take(const struct backend *b, const struct backend_part *part)
{
	size_t n = part->batches.end - part->batches.first;
	struct marks *m = malloc(sizeof(*m) + n * sizeof(m->failed[0]));
	struct batch_glance glances[AT_ONCE];

	if (!m)
		return NULL;
	m->model = part->model;
	m->batches = part->batches;
	for (size_t at = 0; at < n; at += AT_ONCE) {
		size_t count = n - at < AT_ONCE ? n - at : AT_ONCE;
		backend_glances(b, m->model, m->batches.first + (ordinal)at, count, glances);
		for (size_t i = 0; i < count; i++)
			m->failed[at + i] = failed_attempt(&glances[i]);
	}
	return m;
}

bool marks_failed_since(const struct marks *m, const struct backend *b)
{
	size_t n = m->batches.end - m->batches.first;
	struct batch_glance glances[AT_ONCE];

	for (size_t at = 0; at < n; at += AT_ONCE) {
		size_t count = n - at < AT_ONCE ? n - at : AT_ONCE;
		backend_glances(b, m->model, m->batches.first + (ordinal)at, count, glances);
		for (size_t i = 0; i < count; i++) {
			uint32_t now = failed_attempt(&glances[i]);
			if (now != WELL && now != m->failed[at + i])
				return true;
		}
	}
	return false;
}

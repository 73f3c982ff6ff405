/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/state_runs.h"

#include <stdlib.h>

void state_runs_add(struct state_runs *r, ordinal batch, enum batch_state state)
{
	if (r->n == 0)
		r->first = batch;
	if (r->n && r->list[r->n - 1].state == state) {
		r->list[r->n - 1].end = batch + 1;
		return;
	}
	if (r->n == r->size) {
		size_t size = r->size ? 2 * r->size : 4;
		struct state_run *list = realloc(r->list, size * sizeof *list);
		if (!list) {
			r->broken = true;
			return;
		}
		r->list = list;
		r->size = size;
	}
	r->list[r->n++] = (struct state_run){batch + 1, state};
}

void state_runs_fini(struct state_runs *r)
{
	free(r->list);
	*r = (struct state_runs){.n = 0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/walkers.h"

#include <stddef.h>

static struct walker *find(struct walkers *w, pid_t thread)
{
	for (int i = 0; i < WALKERS; i++)
		if (w->list[i].thread == thread)
			return &w->list[i];
	return NULL;
}

static struct walker *oldest(struct walkers *w)
{
	struct walker *first = &w->list[0];

	for (int i = 1; i < WALKERS; i++)
		if (w->list[i].at < first->at)
			first = &w->list[i];
	return first;
}

bool walker_lists(struct walkers *w, pid_t thread, bool begins, int64_t now_us)
{
	struct walker *x = thread ? find(w, thread) : NULL;

	if (!thread)
		return true;
	if (!x || now_us - x->at > WALKER_PAUSE_US) {
		x = x ? x : oldest(w);
		*x = (struct walker){.thread = thread};
	}
	x->at = now_us;
	x->listed += begins;
	return x->looks || x->listed <= 1;
}

void walker_looks(struct walkers *w, pid_t thread)
{
	struct walker *x = thread ? find(w, thread) : NULL;

	if (x)
		x->looks = true;
}

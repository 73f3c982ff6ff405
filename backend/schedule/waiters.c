/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/waiters.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/schedule/runtime.h"

void waiter_answer(struct backend *b, struct waiter *w, int err)
{
	w->done(w->ctx, err ? err : w->result);
	free(w);
}

void waiters_answer(struct backend *b, struct waiters *list, int err, waiter_over_fn *is_over,
		    waiter_answer_fn *answer)
{
	struct waiters over = STAILQ_HEAD_INITIALIZER(over), left = STAILQ_HEAD_INITIALIZER(left);
	struct waiter *w;
	{
		LOCKED(&b->lock);
		while ((w = STAILQ_FIRST(list))) {
			STAILQ_REMOVE_HEAD(list, link);
			if (err || is_over(b, w))
				STAILQ_INSERT_TAIL(&over, w, link);
			else
				STAILQ_INSERT_TAIL(&left, w, link);
		}
		STAILQ_CONCAT(list, &left);
	}
	while ((w = STAILQ_FIRST(&over))) {
		STAILQ_REMOVE_HEAD(&over, link);
		answer(b, w, err);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/look.h"

/* Nobody who holds FILE or the queue is waited for longer. */
#define WAIT_US 1000000

int sqlite_look(struct worker *w, slot model, enum look_kind kind, const struct store_sink *sink,
		struct error *err)
{
	if (kind != LOOK_FIRST)
		return 0;
	int64_t wait_us = w->patience.wait_us;
	int r = worker_enter(w, model, err);
	if (w->patience.wait_us > WAIT_US)
		w->patience.wait_us = WAIT_US;
	if (r == 0)
		r = adopt(w, model, sink, err);
	w->patience.wait_us = wait_us;
	worker_leave(w);
	return r;
}

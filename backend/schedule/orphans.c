/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/model.h"
#include "backend/schedule/orphans.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/sink.h"

/* The others are asked for no sooner than that. */
#define OTHERS_US 1000000

void orphans_recode(struct backend *b, slot model, const char *was)
{
	struct recode *r = calloc(1, sizeof *r);
	if (!r)
		return;
	r->model = model;
	memcpy(r->was, was, sizeof r->was);
	STAILQ_INSERT_TAIL(&b->recodes, r, link);
}

void orphans_fini(struct backend *b)
{
	struct recode *r;
	while ((r = STAILQ_FIRST(&b->recodes))) {
		STAILQ_REMOVE_HEAD(&b->recodes, link);
		free(r);
	}
}

static int recode_all(struct backend *b, struct error *err)
{
	struct store_sink sink;
	for (;;) {
		struct recode *r;
		{
			LOCKED(&b->lock);
			r = STAILQ_FIRST(&b->recodes);
		}
		if (!r)
			return 0;
		int rc = store_recode(b->store, r->model, r->was, backend_sink(b, &sink), err);
		if (rc < 0)
			return rc;
		LOCKED(&b->lock);
		STAILQ_REMOVE_HEAD(&b->recodes, link);
		free(r);
	}
}

/* With the lock. What of the model can never be built by what the manifest says: all of a model that has
 * gone, else what lies before its begin. */
static struct ordinal_range no_more(const struct backend *b, slot model)
{
	struct ordinal_range all = ledger_recorded(b->ledger, model);
	const struct model *m = facts_of(b, model);
	ordinal begin = calendar_ordinal(m->batch_size, m->begin);
	if (!models_gone(b->models, model) && all.end > begin)
		all.end = begin > all.first ? begin : all.first;
	return all;
}

/* With the lock. */
static bool waits(const struct backend *b, slot model, struct ordinal_range range)
{
	struct ledger_waiting w = ledger_next_waiting(b->ledger, model, range, true);
	return w.batches.first < w.batches.end;
}

/* With the lock. other_code: only what waits for SQL that is not the model's. Whether something was found. */
static bool end(struct backend *b, slot model, struct ordinal_range rest, enum settle_kind kind,
		bool other_code)
{
	struct error why = {0};
	int64_t now = clock_now_us(b->config.clock), at;
	bool any = false;
	if (kind == SETTLE_SKIPPED)
		error_set(
			&why, ECANCELED,
			"no mount has the SQL that this was asked for with, since the manifest has another one: "
			"touch it again to have it built with that");
	while (rest.first < rest.end) {
		struct ledger_waiting w = ledger_next_waiting(b->ledger, model, rest, true);
		rest.first = w.batches.end;
		if (w.batches.first >= w.batches.end ||
		    (other_code && !ledger_waits_for_other_code(b->ledger, model, w.batches.first, &at)))
			continue;
		struct store_outcome out = {.kind = kind,
					    .model = model,
					    .batch = w.batches.first,
					    .count = w.batches.end - w.batches.first,
					    .request = w.request,
					    .wanted = w.wanted,
					    .lowest = w.wanted,
					    .last = w.attempt,
					    .started = now,
					    .finished = now};
		if (kind == SETTLE_SKIPPED)
			ledger_mark_skipping(b->ledger, model, w.batches, true);
		outcome_queue(b, &out, kind == SETTLE_SKIPPED ? &why : NULL);
		any = true;
	}
	return any;
}

/* With the lock. */
static bool waits_for_other_code(const struct backend *b, slot model)
{
	struct ordinal_range rest = ledger_recorded(b->ledger, model);
	int64_t at;
	while (ledger_may_wait_for_other_code(b->ledger, model) && rest.first < rest.end) {
		struct ledger_waiting w = ledger_next_waiting(b->ledger, model, rest, true);
		if (w.batches.first < w.batches.end &&
		    ledger_waits_for_other_code(b->ledger, model, w.batches.first, &at))
			return true;
		rest.first = w.batches.end;
	}
	return false;
}

/* With the lock. Whether anything waits that may have to be ended; what is no orphan any more is noted. */
static bool any_orphan(struct backend *b, int64_t now)
{
	bool any = false;
	for (slot s = 0; s < b->runtime_end; s++) {
		struct model_runtime *m = &b->runtime[s];
		bool queued = ledger_queued(b->ledger, s) > 0;
		bool other = queued && !models_gone(b->models, s) && waits_for_other_code(b, s);
		m->orphan_since = !other ? 0 : m->orphan_since ? m->orphan_since : now;
		any |= other || (queued && waits(b, s, no_more(b, s)));
	}
	return any;
}

static bool due(struct backend *b)
{
	int64_t now = clock_monotonic_us();
	if (now - b->others_at < OTHERS_US)
		return false;
	b->others_at = now;
	LOCKED(&b->lock);
	return any_orphan(b, now);
}

int orphans_settle(struct backend *b, struct error *err)
{
	bool others = false;
	int r = recode_all(b, err);
	if (r < 0 || !due(b))
		return r;
	/* Another mount may have the model, or the SQL: then it is not for this one to end what waits for it.
	 */
	r = store_others(b->store, &others, err);
	if (r < 0 || others)
		return r;
	int64_t now = clock_monotonic_us();
	LOCKED(&b->lock);
	for (slot s = 0; s < b->runtime_end; s++) {
		struct model_runtime *m = &b->runtime[s];
		if (ledger_queued(b->ledger, s) == 0)
			continue;
		end(b, s, no_more(b, s), SETTLE_CANCELLED, false);
		if (!m->orphan_since || now - m->orphan_since < ORPHAN_US)
			continue;
		if (end(b, s, ledger_recorded(b->ledger, s), SETTLE_SKIPPED, true))
			log_warning(b->config.log,
				    "%s: what was asked for with SQL that no mount has is skipped",
				    dir_of(b, s));
		m->orphan_since = 0;
	}
	return 0;
}

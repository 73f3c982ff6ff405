/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A failure makes the queued batches that read it skipped, and nothing else; what reads a skipped one
 * follows when that has been recorded. The tenth equal failure in a row skips the rest of its request.
 */
#include "backend/schedule/private.h"

#define EQUAL_FAILURES 10

struct skipping {
	struct backend *b;
	const struct store_outcome *cause;
	int64_t only;	/* what a later request wants, too, is not skipped; 0: whoever wants it */
	int64_t before; /* what was asked for later (us) is not skipped; 0: whenever that was */
	struct error why;
};

/* Of a range what waits and is not on its way already: of a model that reads itself each failure names all
 * later batches. */
static void skip(void *ctx, slot model, struct ordinal_range batches)
{
	struct skipping *s = ctx;
	struct backend *b = s->b;
	struct store_outcome out = {.kind = SETTLE_SKIPPED,
				    .model = model,
				    .started = s->cause->finished,
				    .finished = s->cause->finished};
	while (ledger_queued(b->ledger, model) > 0 && batches.first < batches.end) {
		struct ledger_waiting w = ledger_next_waiting(b->ledger, model, batches, true);
		batches.first = w.batches.end;
		if ((s->only && w.request != s->only) ||
		    (s->before && ledger_asked_at(b->ledger, w.request) >= s->before))
			continue;
		ledger_mark_skipping(b->ledger, model, w.batches, true);
		out.request = w.request;
		out.wanted = w.wanted;
		for (out.batch = w.batches.first; out.batch < w.batches.end; out.batch++)
			outcome_queue(b, &out, &s->why);
	}
}

static void skip_reading(void *ctx, slot model, struct ordinal_range batches, bool windowed)
{
	(void)windowed;
	skip(ctx, model, batches);
}

void skip_readers(struct backend *b, const struct store_outcome *failed, int64_t before)
{
	const struct model *m = facts_of(b, failed->model);
	char name[CALENDAR_NAME_MAX];
	calendar_name(m->batch_size, failed->batch, name);
	struct skipping s = {.b = b, .cause = failed, .before = before};
	error_set(&s.why, ECANCELED, "it reads %s/%s, which %s", m->dir, name,
		  failed->kind == SETTLE_SKIPPED ? "was skipped" : "failed");
	plan_readers(b->ledger, b->models, failed->model,
		     (struct ordinal_range){failed->batch, failed->batch + 1}, skip_reading, &s);
	if (before || failed->kind != SETTLE_FAILED ||
	    ledger_equal_failures(b->ledger, failed->request, failed->sqlstate) < EQUAL_FAILURES)
		return;
	error_set(&s.why, ECANCELED, "the same error %d times in a row, last in %s/%s: %.300s",
		  EQUAL_FAILURES, m->dir, name, failed->message);
	s.only = failed->request;
	ledger_remaining(b->ledger, failed->request, skip, &s);
}

void skip_hopeless(struct backend *b, const struct store_outcome *put_back)
{
	struct skipping s = {.b = b, .cause = put_back, .only = put_back->request};
	if (!s.only || ledger_failures(b->ledger, s.only) < EQUAL_FAILURES)
		return;
	error_set(&s.why, ECANCELED, "the same error %d times in a row", EQUAL_FAILURES);
	skip(&s, put_back->model, (struct ordinal_range){put_back->batch, put_back->batch + 1});
}

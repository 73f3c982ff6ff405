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

static void skip(struct skipping *s, slot model, ordinal batch)
{
	struct backend *b = s->b;
	struct store_outcome out = {.kind = SETTLE_SKIPPED,
				    .model = model,
				    .batch = batch,
				    .started = s->cause->finished,
				    .finished = s->cause->finished};
	/* The mark first: of a model that reads itself each failure names all later batches. */
	if (!ledger_leave(b->ledger, model, batch))
		return;
	if (ledger_waits(b->ledger, model, batch, &out.request, &out.wanted) &&
	    (!s->only || out.request == s->only) &&
	    (!s->before || ledger_asked_at(b->ledger, out.request) < s->before))
		outcome_queue(b, &out, &s->why);
	else
		ledger_left(b->ledger, model, batch);
}

static void skip_range(void *ctx, slot model, struct ordinal_range batches, bool windowed)
{
	struct skipping *s = ctx;
	(void)windowed;
	if (ledger_queued(s->b->ledger, model) == 0)
		return;
	for (ordinal o = batches.first; o < batches.end; o++)
		skip(s, model, o);
}

static void skip_one(void *ctx, slot model, ordinal batch)
{
	skip(ctx, model, batch);
}

void skip_readers(struct backend *b, const struct store_outcome *failed, int64_t before)
{
	const struct model *m = facts_of(b, failed->model);
	char name[CALENDAR_NAME_MAX];
	calendar_name(m->batch_size, failed->batch, name);
	struct skipping s = {.b = b, .cause = failed, .before = before};
	error_set(&s.why, ECANCELED, "it reads %s/%s, which %s", m->dir, name,
		  failed->kind == SETTLE_SKIPPED ? "was skipped" : "failed");
	plan_readers(b->ledger, b->models, failed->model, failed->batch, skip_range, &s);
	if (before || failed->kind != SETTLE_FAILED ||
	    ledger_equal_failures(b->ledger, failed->request, failed->sqlstate) < EQUAL_FAILURES)
		return;
	error_set(&s.why, ECANCELED, "the same error %d times in a row, last in %s/%s: %.300s",
		  EQUAL_FAILURES, m->dir, name, failed->message);
	s.only = failed->request;
	ledger_remaining(b->ledger, failed->request, skip_one, &s);
}

void skip_hopeless(struct backend *b, const struct store_outcome *put_back)
{
	struct skipping s = {.b = b, .cause = put_back, .only = put_back->request};
	if (!s.only || ledger_failures(b->ledger, s.only) < EQUAL_FAILURES)
		return;
	error_set(&s.why, ECANCELED, "the same error %d times in a row", EQUAL_FAILURES);
	skip(&s, put_back->model, put_back->batch);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A failure makes the queued batches that read it skipped, and nothing else; what reads a skipped one
 * follows when that has been recorded. What no batch of the model can be built for skips the rest of the
 * request, and so does the tenth equal failure in a row.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/calendar.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/plan.h"
#include "backend/schedule/model.h"
#include "backend/schedule/outcome.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/skip.h"

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
	struct outcome *last = NULL;
	const struct requester *by = NULL;
	while (ledger_queued(b->ledger, model) > 0 && batches.first < batches.end) {
		struct ledger_waiting w = ledger_next_waiting(b->ledger, model, batches, true);
		batches.first = w.batches.end;
		if (w.batches.first >= w.batches.end || (s->only && w.request != s->only) ||
		    (s->before && ledger_asked_at(b->ledger, w.request) >= s->before))
			continue;
		ledger_mark_skipping(b->ledger, model, w.batches, true);
		if (outcome_join(last, by, &w))
			continue;
		out.batch = w.batches.first;
		out.count = w.batches.end - w.batches.first;
		out.request = w.request;
		out.wanted = out.lowest = w.wanted;
		out.last = w.attempt;
		last = outcome_queue(b, &out, &s->why);
		if (last)
			last->put_back = w.put_back;
		by = w.by;
	}
}

static void skip_reading(void *ctx, slot model, struct ordinal_range batches, bool windowed)
{
	const struct skipping *s = ctx;
	/* Without a window a failure concerns all of them alike: of many that are loaded the latest decides.
	 */
	if (!windowed && !s->b->threads && s->before <= s->b->runtime[s->cause->model].spoiled_at)
		return;
	skip(ctx, model, batches);
}

#define KEY_MAX 17

/*
 * What makes two failures equal: the SQLSTATE, or where there is none the text without the words that hold a
 * digit or name a temporary table of dbt's.
 */
static void failure_key(const struct store_outcome *o, char out[KEY_MAX])
{
	uint64_t print = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	if (*o->sqlstate) {
		snprintf(out, KEY_MAX, "%s", o->sqlstate);
		return;
	}
	for (const char *p = o->message; *p;) {
		size_t n = 0, digits = 0;
		for (; isalnum((unsigned char)p[n]) || p[n] == '_'; n++)
			digits += isdigit((unsigned char)p[n]) != 0;
		const char *temporary = n ? memmem(p, n, "dbt_tmp", 7) : NULL;
		for (size_t i = 0; i < n && !digits && !temporary; i++)
			print = (print ^ (unsigned char)p[i]) * UINT64_C(0x100000001b3);
		p += n ? n : 1;
	}
	snprintf(out, KEY_MAX, "%016" PRIx64, print);
}

void skip_readers(struct backend *b, const struct store_outcome *failed, int64_t before, unsigned weight)
{
	const struct model *m = facts_of(b, failed->model);
	struct ordinal_range batches = {failed->batch,
					failed->batch + (failed->count > 1 ? failed->count : 1)};
	char first[CALENDAR_NAME_MAX], end[CALENDAR_NAME_MAX], key[KEY_MAX];
	calendar_name(m->batch_size, batches.first, first);
	calendar_name(m->batch_size, batches.end, end);
	struct skipping s = {.b = b, .cause = failed, .before = before};
	if (failed->finished > b->runtime[failed->model].failed_at)
		b->runtime[failed->model].failed_at = failed->finished;
	error_set(&s.why, ECANCELED, "it reads %s/%s%s%s, which %s", m->dir, first,
		  failed->count > 1 ? "--" : "", failed->count > 1 ? end : "",
		  failed->kind == SETTLE_SKIPPED ? "was skipped" : "failed");
	plan_readers(b->ledger, b->models, failed->model, batches, skip_reading, &s);
	if (before > b->runtime[failed->model].spoiled_at)
		b->runtime[failed->model].spoiled_at = before;
	if (before || failed->kind != SETTLE_FAILED)
		return;
	failure_key(failed, key);
	if (ledger_equal_failures(b->ledger, failed->request, key, weight ? weight : 1) < EQUAL_FAILURES)
		return;
	char times[32] = "again and again";
	if (weight <= 1)
		snprintf(times, sizeof times, "%d times in a row", EQUAL_FAILURES);
	error_set(&s.why, ECANCELED, "the same error %s, last in %s/%s: %.300s", times, m->dir, first,
		  failed->message);
	s.only = failed->request;
	ledger_remaining(b->ledger, failed->request, skip, &s);
}

/* Whoever was asked for before that failure, and waits for it, is skipped. */
static void skip_failed(struct backend *b, slot model, ordinal batch, int64_t asked_at)
{
	struct batch_info info;
	ledger_info(b->ledger, model, batch, &info);
	struct store_outcome o = {.kind = info.state == BATCH_SKIPPED ? SETTLE_SKIPPED : SETTLE_FAILED,
				  .model = model,
				  .batch = batch,
				  .finished = info.finished};
	if (info.finished > asked_at)
		skip_readers(b, &o, info.finished, 0);
}

void skip_late(struct backend *b, slot model, int64_t asked_at)
{
	size_t n;
	const struct model_read *reads = models_reads(b->models, model, &n);
	for (size_t i = 0; i < n; i++) {
		slot input = reads[i].model;
		struct ordinal_range rest = ledger_recorded(b->ledger, input);
		while (b->runtime[input].failed_at > asked_at &&
		       (rest.first = ledger_next_wrong(b->ledger, input, rest)) < rest.end) {
			skip_failed(b, input, rest.first, asked_at);
			rest.first++;
		}
	}
}

void skip_hopeless(struct backend *b, const struct store_outcome *put_back)
{
	struct skipping s = {.b = b, .cause = put_back, .only = put_back->request};
	if (!s.only || ledger_failures(b->ledger, s.only) < EQUAL_FAILURES)
		return;
	error_set(&s.why, ECANCELED, "the same error again and again");
	skip(&s, put_back->model, (struct ordinal_range){put_back->batch, put_back->batch + 1});
}

void skip_rest(struct backend *b, const struct store_outcome *cause)
{
	struct skipping s = {.b = b, .cause = cause, .only = cause->request};
	/* What was put back before has no request of its own: it fails when it is claimed again. */
	if (!s.only)
		return;
	error_set(&s.why, ECANCELED, "no batch of %s can be built: %.300s", facts_of(b, cause->model)->dir,
		  cause->message);
	if (cause->kind == SETTLE_FAILED)
		ledger_remaining(b->ledger, s.only, skip, &s);
	else
		skip(&s, cause->model, (struct ordinal_range){cause->batch, cause->batch + 1});
}

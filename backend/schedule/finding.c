/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/finding.h"
#include "backend/schedule/sink.h"

static void count_state(void *ctx, const struct store_state *s)
{
	struct finding *f = ctx;
	f->adopted += s->run == ROW_IDLE && s->outcome == OUTCOME_DONE && s->adopted;
	f->gone += !f->first && s->run == ROW_IDLE && s->outcome == OUTCOME_NONE;
	if (f->first)
		f->inner.state(f->inner.ctx, s);
	else
		sink_seen(f->b, s);
}

static void pass_told(void *ctx, slot model)
{
	struct finding *f = ctx;
	f->inner.told(f->inner.ctx, model);
}

/* Of the ledger's states forget() has made an end already. */
static void count_gone(void *ctx, slot model, size_t n)
{
	struct finding *f = ctx;
	f->gone += n;
}

static void pass_forget(void *ctx, slot model)
{
	struct finding *f = ctx;
	f->inner.forget(f->inner.ctx, model);
}

static void pass_request(void *ctx, const struct store_request_row *r)
{
	struct finding *f = ctx;
	f->inner.request(f->inner.ctx, r);
}

static void pass_freezes(void *ctx, slot model, const struct store_freeze *list, size_t n)
{
	struct finding *f = ctx;
	f->inner.freezes(f->inner.ctx, model, list, n);
}

static bool pass_runs(void *ctx, slot model, ordinal batch, uint32_t attempt)
{
	struct finding *f = ctx;
	return f->inner.runs(f->inner.ctx, model, batch, attempt);
}

static void pass_answer(void *ctx, const struct store_answer *a)
{
	struct finding *f = ctx;
	f->inner.answer(f->inner.ctx, a);
}

void finding_init(struct finding *f, struct backend *b, bool first)
{
	*f = (struct finding){.b = b, .first = first};
	backend_sink(b, &f->inner);
	f->sink = (struct store_sink){.ctx = f,
				      .state = count_state,
				      .forget = pass_forget,
				      .told = pass_told,
				      .gone = count_gone,
				      .request = pass_request,
				      .answer = pass_answer,
				      .runs = pass_runs,
				      .freezes = pass_freezes};
}

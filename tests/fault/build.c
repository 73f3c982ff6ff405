/* SPDX-License-Identifier: Apache-2.0 */
/* Builds under the rules: each batch is let through, or fails in the engine's place. */
#include <string.h>

#include "tests/fault/layer.h"

struct passed_on {
	struct fault_layer *f;
	const struct engine_call *call;
	build_report_fn *report;
	void *ctx;
};

/*
 * The engine has begun the batch: that is where a build waits, shown as running. When it is interrupted
 * meanwhile, the engine's own interrupt() ends the batch.
 */
static void pass_on(void *ctx, const struct build_report *r)
{
	const struct passed_on *p = ctx;
	p->report(p->ctx, r);
	if (r->outcome == BUILD_STARTED)
		fault_wait(p->f, p->call, NULL);
}

static bool passes(const char *sqlstate)
{
	static const char classes[][3] = {"08", "40", "53", "55", "57"};
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	return false;
}

static void unstarted(const struct build_run *run, uint32_t from, build_report_fn *report, void *ctx)
{
	for (uint32_t i = from; i < run->count; i++) {
		struct build_report r = {
			.outcome = BUILD_UNSTARTED, .batch = run->first + i, .attempt = run->attempt[i]};
		if (r.attempt)
			report(ctx, &r);
	}
}

/* True: the run goes on behind it. */
static bool fail_batch(const struct build_run *run, uint32_t i, const struct error *why, struct passed_on *p)
{
	int64_t now = clock_now_us(&(struct clock){0});
	struct build_report r = {.outcome = BUILD_STARTED,
				 .batch = run->first + i,
				 .attempt = run->attempt[i],
				 .started = now,
				 .finished = now,
				 .rows_deleted = -1,
				 .rows_inserted = -1,
				 .rows_outside = -1};
	pass_on(p, &r);
	r.outcome = passes(why->sqlstate) ? BUILD_PASSING : BUILD_FAILED;
	r.err = why;
	p->report(p->ctx, &r);
	return r.outcome == BUILD_FAILED;
}

int fault_build(const struct engine_layer *layer, const struct engine_call *call, const struct build_run *run,
		build_report_fn *report, void *ctx, struct error *err)
{
	struct passed_on p = {.f = fault_of(layer), .call = call, .report = report, .ctx = ctx};
	struct build_run rest = *run;
	uint32_t i = 0;
	for (; i < run->count; i++) {
		struct error why = {0};
		if (!run->attempt[i])
			continue;
		if (fault_fail(p.f, call, &why) == 0)
			break;
		if (!why.sqlstate[0]) { /* the call as a whole */
			if (err)
				*err = why;
			unstarted(run, i, report, ctx);
			return -why.err;
		}
		if (!fail_batch(run, i, &why, &p)) {
			unstarted(run, i + 1, report, ctx);
			return 0;
		}
	}
	if (i == run->count)
		return 0;
	rest.first += i;
	rest.count -= i;
	memmove(rest.attempt, rest.attempt + i, rest.count * sizeof *rest.attempt);
	return engine_call_build(call, &rest, pass_on, &p, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Batches that are answered without being built, against a private server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/batch_state.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

static int answer(struct world *w, int n, enum settle_kind kind, uint32_t attempt, int64_t wanted)
{
	struct error err = {0};
	struct store_outcome o = {.kind = kind,
				  .batch = day(n),
				  .attempt = attempt,
				  .wanted = wanted,
				  .request = 1,
				  .started = BEGIN + DAY,
				  .finished = BEGIN + DAY + 2000000,
				  .sqlstate = "",
				  .message = kind == SETTLE_SKIPPED ? "it reads x/2024-09-01, which failed"
								    : ""};
	if (engine_postgres.store->settle(w->store, &o, 1, &err))
		fail_msg("%s", err.text);
	return o.result;
}

static void load_again(struct world *w)
{
	world_close(w);
	memset(w->states, 0, sizeof w->states);
	world_open(w);
}

static void build_day(struct world *w, int n)
{
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, n, 1, &c), 1);
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(w->outcomes[n], BUILD_DONE);
}

/* By a builder whose rows are in another warehouse. */
static void done_elsewhere(void **state)
{
	struct world *w = *state;
	struct error err = {0};
	int64_t seq;
	struct store_claim c;
	assert_int_equal(request_days(w, 0, 0, 1, -1, 0, &seq), 0);
	assert_int_equal(claim_days(w, 0, 0, 1, &c), 1);
	struct store_outcome o = {.kind = SETTLE_DONE,
				  .batch = day(0),
				  .attempt = c.attempt[0] + 1,
				  .started = BEGIN + DAY,
				  .finished = BEGIN + DAY + 2000000,
				  .rows_deleted = -1,
				  .rows_inserted = 7,
				  .rows_outside = 1,
				  .sqlstate = "",
				  .message = ""};
	assert_int_equal(engine_postgres.store->settle(w->store, &o, 1, &err), 0);
	assert_int_equal(o.result, -ESTALE);
	o.attempt = c.attempt[0];
	assert_int_equal(engine_postgres.store->settle(w->store, &o, 1, &err), 0);
	assert_int_equal(o.result, 0);
	load_again(w);
	const struct seen_state *s = state_of(w, 0, 0);
	assert_int_equal(s->s.run, ROW_IDLE);
	assert_int_equal(s->s.outcome, OUTCOME_DONE);
	assert_int_equal(s->s.attempt, c.attempt[0]);
	assert_int_equal(s->s.started, BEGIN + DAY);
	assert_int_equal(s->s.finished, BEGIN + DAY + 2000000);
	assert_int_equal(s->s.built, BEGIN + DAY + 2000000);
	assert_int_equal(s->s.rows_deleted, -1);
	assert_int_equal(s->s.rows_inserted, 7);
	assert_int_equal(s->s.rows_outside, 1);
	assert_string_equal(
		sql("select concat(outcome, rows_inserted, coalesce(sqlstate, 'null'), seconds) from batchfs.attempt where outcome = 'done'"),
		"done7null2");
	o.kind = SETTLE_RETRACTED;
	o.message = "it was not";
	o.attempt++;
	assert_int_equal(engine_postgres.store->settle(w->store, &o, 1, &err), 0);
	assert_int_equal(o.result, -ESTALE);
	o.attempt--;
	assert_int_equal(engine_postgres.store->settle(w->store, &o, 1, &err), 0);
	assert_int_equal(o.result, 0);
	load_again(w);
	s = state_of(w, 0, 0);
	assert_int_equal(s->s.run, ROW_IDLE);
	assert_int_equal(s->s.outcome, OUTCOME_FAILED);
	assert_int_equal(s->s.built, 0);
	assert_int_equal(s->s.rows_inserted, -1);
	assert_string_equal(s->message, "it was not");
	assert_string_equal(
		sql("select string_agg(outcome || attempt || coalesce(message, ''), ',' order by xid)"
		    " from batchfs.attempt where outcome <> 'started'"),
		"done1,failed1it was not");
	assert_int_equal(engine_postgres.store->settle(w->store, &o, 1, &err), 0);
	assert_int_equal(o.result, -ESTALE);
}

static void skipped_without_a_row(void **state)
{
	struct world *w = *state;
	int64_t seq, later;
	assert_int_equal(request_days(w, 0, 0, 2, -1, 0, &seq), 0);
	assert_int_equal(answer(w, 1, SETTLE_SKIPPED, 0, seq), 0);
	assert_int_equal(answer(w, 1, SETTLE_SKIPPED, 0, seq), -ESTALE); /* answered: one line of history */
	load_again(w);
	const struct seen_state *s = state_of(w, 0, 1);
	assert_int_equal(s->s.run, ROW_IDLE);
	assert_int_equal(s->s.outcome, OUTCOME_SKIPPED);
	assert_int_equal(s->s.served, seq);
	assert_int_equal(s->s.attempt, 0);
	assert_int_equal(s->s.built, 0);
	assert_int_equal(s->s.request, 1);
	assert_int_equal(s->s.started, BEGIN + DAY + 2000000);
	assert_int_equal(s->s.finished, BEGIN + DAY + 2000000);
	assert_string_equal(s->message, "it reads x/2024-09-01, which failed");
	assert_false(state_of(w, 0, 0)->known);
	assert_string_equal(
		sql("select string_agg(outcome || attempt || coalesce(seconds::text, 'null') || message, ',')"
		    " from batchfs.attempt"),
		"skipped0nullit reads x/2024-09-01, which failed");
	assert_int_equal(request_days(w, 0, 1, 2, BATCH_SKIPPED, 0, &later), 0);
	struct store_claim c = {.first = day(1), .count = 1, .wanted = seq, .started = 1};
	struct error err = {0};
	assert_int_equal(engine_postgres.store->claim(w->store, &c, 1, &err), 0);
	assert_int_equal(c.attempt[0], 0);
	c.wanted = later;
	assert_int_equal(engine_postgres.store->claim(w->store, &c, 1, &err), 0);
	assert_int_equal(c.attempt[0], 1);
}

static void skipped_keeps_when_it_was_built(void **state)
{
	struct world *w = *state;
	int64_t seq;
	world_prepare(w, 0);
	build_day(w, 1);
	int64_t built = w->reports[1].finished;
	assert_int_equal(request_days(w, 0, 1, 2, -1, 0, &seq), 0);
	assert_int_equal(answer(w, 1, SETTLE_SKIPPED, 0, seq), 0);
	load_again(w);
	const struct store_state *s = &state_of(w, 0, 1)->s;
	assert_int_equal(s->outcome, OUTCOME_SKIPPED);
	assert_int_equal(s->attempt, 1);
	assert_int_equal(s->built, built);
	assert_int_equal(s->rows_inserted, -1);
	assert_string_equal(sql("select count(*) from out.fct"), "10");
}

static void cancelled_in_the_queue(void **state)
{
	struct world *w = *state;
	int64_t seq;
	world_prepare(w, 0);
	build_day(w, 1);
	assert_int_equal(request_days(w, 0, 0, 3, -1, 0, &seq), 0);
	assert_int_equal(answer(w, 0, SETTLE_CANCELLED, 0, seq), 0);
	assert_int_equal(answer(w, 1, SETTLE_CANCELLED, 0, seq), 0);
	assert_int_equal(answer(w, 1, SETTLE_CANCELLED, 0, seq), -ESTALE);
	load_again(w);
	assert_int_equal(state_of(w, 0, 0)->s.outcome, OUTCOME_NONE);
	assert_int_equal(state_of(w, 0, 0)->s.served, seq);
	assert_int_equal(state_of(w, 0, 1)->s.outcome, OUTCOME_DONE);
	assert_int_equal(state_of(w, 0, 1)->s.rows_inserted, 10);
	assert_int_equal(state_of(w, 0, 1)->s.served, seq);
	assert_string_equal(
		sql("select string_agg(outcome || attempt, ',' order by window_start) from batchfs.attempt"
		    " where outcome = 'cancelled'"),
		"cancelled0,cancelled1");
	/* Pending and done again, by their own names. */
	assert_int_equal(request_days(w, 0, 0, 1, BATCH_PENDING, 0, NULL), 0);
	assert_int_equal(request_days(w, 0, 1, 2, BATCH_DONE, 1, NULL), 0);
}

static void cancelled_after_it_was_put_back(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	assert_int_equal(claim_days(w, 0, 3, 1, &c), 1);
	assert_int_equal(settle_day(w, 0, 3, c.attempt[0], SETTLE_REQUEUED), 0);
	assert_int_equal(answer(w, 3, SETTLE_CANCELLED, 0, 0), 0);
	assert_int_equal(answer(w, 3, SETTLE_CANCELLED, 0, 0), -ESTALE);
	assert_string_equal(sql("select run || ',' || outcome from batchfs.state"), "0,0");
}

static void cancelled_while_it_runs(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	int64_t seq;
	world_prepare(w, 0);
	build_day(w, 1);
	assert_int_equal(claim_days(w, 0, 1, 1, &c), 1);
	assert_int_equal(request_days(w, 0, 1, 2, -1, 0, &seq), 0);
	assert_int_equal(answer(w, 1, SETTLE_CANCELLED, c.attempt[0] + 1, seq), -ESTALE);
	assert_int_equal(answer(w, 1, SETTLE_CANCELLED, 0, seq), -ESTALE); /* not in the queue */
	assert_int_equal(answer(w, 1, SETTLE_SKIPPED, 0, seq), -ESTALE);
	assert_string_equal(sql("select run from batchfs.state"), "1");
	assert_int_equal(answer(w, 1, SETTLE_CANCELLED, c.attempt[0], seq), 0);
	load_again(w);
	const struct store_state *s = &state_of(w, 0, 1)->s;
	assert_int_equal(s->run, ROW_IDLE);
	assert_int_equal(s->outcome, OUTCOME_DONE);
	assert_int_equal(s->attempt, 2);
	assert_int_equal(s->rows_inserted, 10);
	assert_int_equal(s->served, seq);
	assert_string_equal(
		sql("select outcome || attempt || seconds from batchfs.attempt where outcome = 'cancelled'"),
		"cancelled22");
	/* The attempt that was ended writes nothing any more. */
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(w->outcomes[1], BUILD_STALE);
}

/* The row is locked by the transaction that builds it; nobody waits for that. */
static void a_running_batch_is_not_waited_for(void **state)
{
	struct world *w = *state;
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 2, -1, 0, &seq), 0);
	sql("insert into batchfs.state (model, window_start) select id, '2024-09-01 00:00+00' from "
	    "batchfs.model");
	sql("begin");
	sql("select from batchfs.state for update");
	assert_int_equal(answer(w, 0, SETTLE_SKIPPED, 0, seq), -ESTALE);
	assert_int_equal(answer(w, 0, SETTLE_CANCELLED, 0, seq), -ESTALE);
	assert_int_equal(answer(w, 1, SETTLE_SKIPPED, 0, seq), 0);
	sql("commit");
	assert_int_equal(answer(w, 0, SETTLE_SKIPPED, 0, seq), 0);
}

static void others_see_it(void **state)
{
	struct world *w = *state;
	struct world *other = world_another();
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 2, -1, 0, &seq), 0);
	assert_int_equal(answer(w, 0, SETTLE_SKIPPED, 0, seq), 0);
	assert_int_equal(answer(w, 1, SETTLE_CANCELLED, 0, seq), 0);
	while (!state_of(other, 0, 1)->known) {
		world_follow_both(w, other);
	}
	assert_int_equal(state_of(other, 0, 0)->s.outcome, OUTCOME_SKIPPED);
	assert_string_equal(state_of(other, 0, 0)->message, "it reads x/2024-09-01, which failed");
	assert_int_equal(state_of(other, 0, 0)->s.served, seq);
	assert_int_equal(state_of(other, 0, 1)->s.outcome, OUTCOME_NONE);
	assert_int_equal(state_of(other, 0, 1)->s.served, seq);
	world_another_gone(other);
}

/* Several kinds in one call, one of them twice: each is answered alone. */
static void all_kinds_at_once(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	struct error err = {0};
	int64_t seq;
	assert_int_equal(request_days(w, 0, 0, 6, -1, 0, &seq), 0);
	assert_int_equal(claim_days(w, 0, 0, 3, &c), 3);
	struct store_outcome all[] = {
		{.kind = SETTLE_FAILED, .batch = day(0), .attempt = 1, .message = "broken"},
		{.kind = SETTLE_SKIPPED, .batch = day(3), .wanted = seq, .message = "one"},
		{.kind = SETTLE_UNSTARTED, .batch = day(1), .attempt = 1, .message = ""},
		{.kind = SETTLE_SKIPPED, .batch = day(3), .wanted = seq, .message = "two"},
		{.kind = SETTLE_CANCELLED, .batch = day(2), .attempt = 1, .wanted = seq, .message = ""},
		{.kind = SETTLE_CANCELLED, .batch = day(4), .wanted = seq, .message = ""},
		{.kind = SETTLE_CANCELLED, .batch = day(4), .attempt = 7, .wanted = seq, .message = ""},
	};
	static const int results[] = {0, 0, 0, -ESTALE, 0, 0, -ESTALE};
	size_t n = sizeof all / sizeof *all;
	for (size_t i = 0; i < n; i++) {
		all[i].started = all[i].finished = BEGIN + DAY;
		all[i].sqlstate = "";
	}
	if (engine_postgres.store->settle(w->store, all, n, &err))
		fail_msg("%s", err.text);
	int sum = 0;
	for (size_t i = 0; i < n; i++) {
		if (i != 1 && i != 3)
			assert_int_equal(all[i].result, results[i]);
		sum += all[i].result;
	}
	assert_int_equal(sum, -2 * ESTALE); /* which of the two is recorded is open, but one is */
	assert_string_equal(
		sql("select string_agg(run || ':' || outcome, ' ' order by window_start) from batchfs.state"),
		"0:2 2:0 0:0 0:3 0:0");
}

static void a_failure_ends_the_run(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	sql("alter table out.fct add constraint few check (ts < '2024-09-02' or ts >= '2024-09-03')");
	assert_int_equal(claim_days(w, 0, 0, 4, &c), 4);
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(w->outcomes[0], BUILD_DONE);
	assert_int_equal(w->outcomes[1], BUILD_FAILED);
	assert_int_equal(w->outcomes[2], BUILD_UNSTARTED);
	assert_int_equal(w->outcomes[3], BUILD_UNSTARTED);
	assert_int_equal(w->started, 2);
	assert_string_equal(sql("select count(*) from out.fct"), "10");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_WORLD_TEST(done_elsewhere),
		OPEN_WORLD_TEST(skipped_without_a_row),
		OPEN_WORLD_TEST(skipped_keeps_when_it_was_built),
		OPEN_WORLD_TEST(cancelled_in_the_queue),
		OPEN_WORLD_TEST(cancelled_after_it_was_put_back),
		OPEN_WORLD_TEST(cancelled_while_it_runs),
		OPEN_WORLD_TEST(a_running_batch_is_not_waited_for),
		OPEN_WORLD_TEST(others_see_it),
		OPEN_WORLD_TEST(all_kinds_at_once),
		OPEN_WORLD_TEST(a_failure_ends_the_run),
	};
	return server_run(tests);
}

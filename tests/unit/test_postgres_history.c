/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of ended attempts and when they are forgotten, against a private server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/batch_state.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"
#include "tests/unit/seen_attempts.h"

#define ALWAYS INT64_C(4000000000000000) /* the year 2096: everything is older */

/* What has ended since the last look. */
static const char *history(struct world *w, slot model, size_t most, struct seen_attempts *s)
{
	struct error err = {0};
	s->first = day(0);
	if (!s->text.str)
		s->text = (struct strbuf)STRBUF_INIT;
	strbuf_clear(&s->text);
	if (engine_postgres.builder->history(w->worker, model, most, &s->cursor, see_attempt, s, &err))
		fail_msg("%s", err.text);
	return s->text.len ? s->text.str : "";
}

static void prune(struct world *w, size_t keep, int64_t before)
{
	struct error err = {0};
	if (engine_postgres.builder->prune(w->worker, 0, keep, before, &err))
		fail_msg("%s", err.text);
}

static void every_outcome(void **state)
{
	struct world *w = *state;
	struct seen_attempts s = {0};
	struct store_claim c;
	int64_t seq;
	assert_string_equal(history(w, 0, 100, &s), "");
	world_prepare(w, 0);
	assert_int_equal(request_days(w, 0, 0, 5, -1, 0, &seq), 0);
	sql("alter table out.fct add constraint few check (ts < '2024-09-02')");
	build_days(w, 0, 0, 2, &c);
	assert_int_equal(settle_day(w, 0, 1, 1, SETTLE_FAILED), 0);
	assert_non_null(strstr(history(w, 0, 100, &s), "0:0#1 done/10/7//, 0:1#1 failed/-1/7//new row"));
	assert_int_equal(s.us, 1000000);
	claim_days(w, 0, 2, 3, &c);
	assert_string_equal(history(w, 0, 100, &s), ""); /* a claim is no attempt that has ended */
	settle_day(w, 0, 2, 1, SETTLE_UNSTARTED);
	settle_day(w, 0, 3, 1, SETTLE_INTERRUPTED);
	settle_day(w, 0, 4, 1, SETTLE_CANCELLED);
	/* The reason comes after the attempt has ended. */
	sql("update batchfs.request set reason = 'INC-1'");
	assert_string_equal(history(w, 0, 100, &s),
			    "0:3#1 interrupted/-1/7/INC-1/, 0:4#1 cancelled/-1/7/INC-1/");
	assert_string_equal(history(w, 0, 100, &s), "");
	seen_attempts_fini(&s);
	history(w, -1, 2, &s);
	assert_string_equal(s.text.str, "0:3#1 interrupted/-1/7/INC-1/, 0:4#1 cancelled/-1/7/INC-1/");
	seen_attempts_fini(&s);
}

/* What an older transaction commits after a look is found by the next one: it is not in that look's snapshot.
 */
static void commits_out_of_order(void **state)
{
	struct world *w = *state;
	struct seen_attempts s = {0};
	struct store_claim c;
	world_prepare(w, 0);
	sql("begin");
	sql("insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at)"
	    " values (1, '2024-09-02Z', 9, 1, 'done', '2024-09-02Z')");
	build_days(w, 0, 0, 1, &c);
	assert_string_equal(history(w, 0, 100, &s), "0:0#1 done/10/-1//");
	sql("commit");
	assert_string_equal(history(w, 0, 100, &s), "0:1#9 done/-1/-1//");
	assert_int_equal(s.us, -1);
	seen_attempts_fini(&s);
}

static void old_ones_are_forgotten(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	for (int i = 0; i < 5; i++) {
		request_days(w, 0, 0, 1, -1, 0, NULL);
		assert_int_equal(claim_days(w, 0, 0, 1, &c), 1);
		assert_int_equal(build_claim(w, &c), 0);
	}
	sql("update batchfs.request set open = false");
	prune(w, 2, BEGIN - DAY); /* all are younger */
	assert_string_equal(sql("select count(*) from batchfs.attempt where outcome = 'done'"), "5");
	assert_string_equal(sql("select count(*) from batchfs.request"), "5");
	prune(w, 2, ALWAYS);
	assert_string_equal(sql("select string_agg(attempt::text, ',' order by attempt) from batchfs.attempt"
				" where outcome = 'done'"),
			    "4,5");
	/* Claims name the first request (claim_days), and so does the state row. */
	assert_string_equal(sql("select string_agg(id::text, ',') from batchfs.request"), "1");
	assert_string_equal(sql("select attempt from batchfs.state"), "5");
}

static void what_is_open_or_not_a_build_stays(void **state)
{
	struct world *w = *state;
	request_days(w, 0, 0, 1, -1, 0, NULL);
	request_days(w, 0, 1, 2, -1, 0, NULL);
	request_days(w, 0, 2, 3, -1, 0, NULL);
	sql("update batchfs.request set open = false, kind = case when id = 2 then 'freeze' else kind end"
	    " where id > 1");
	prune(w, 1, ALWAYS);
	assert_string_equal(sql("select string_agg(id::text, ',' order by id) from batchfs.request"), "1,2");
}

/* Another mount may look late: an adoption is told to it all the same. */
static void an_adoption_is_never_forgotten(void **state)
{
	struct world *w = *state;
	sql("insert into batchfs.attempt (model, origin, outcome, at) values (1, 1, 'adopted', "
	    "'2000-01-01')");
	sql("insert into batchfs.attempt (model, window_start, origin, outcome, at)"
	    " select 1, '2024-09-01', 1, 'done', '2000-01-01' from generate_series(1, 3)");
	sql("insert into batchfs.attempt (model, window_start, origin, outcome, at)"
	    " values (1, '2024-09-01', 1, 'done', '2000-01-01')");
	prune(w, 1, ALWAYS);
	assert_string_equal(sql("select string_agg(outcome, ',' order by xid) from batchfs.attempt"),
			    "adopted,done");
}

static uint32_t attempt_seen(struct world *w)
{
	struct error err = {0};
	if (engine_postgres.store->follow(w->store, 1100, &w->sink, &err))
		fail_msg("%s", err.text);
	return state_of(w, 0, 0)->s.attempt;
}

/* The attempt that would tell of the change may be forgotten: then the states themselves are read. */
static void who_was_cut_off_reads_everything(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	build_days(w, 0, 0, 1, &c);
	sql("update batchfs.state set attempt = 8");
	world_close(w);
	world_open(w);
	assert_int_equal(attempt_seen(w), 8);
	sql("update batchfs.state set attempt = 9");
	assert_int_equal(attempt_seen(w), 8);
	w->clock.offset_us += FEED_AGE_US;
	assert_int_equal(attempt_seen(w), 9);
	sql("update batchfs.state set attempt = 10");
	assert_int_equal(attempt_seen(w), 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_WORLD_TEST(every_outcome),
		OPEN_WORLD_TEST(commits_out_of_order),
		OPEN_WORLD_TEST(old_ones_are_forgotten),
		OPEN_WORLD_TEST(what_is_open_or_not_a_build_stays),
		OPEN_WORLD_TEST(an_adoption_is_never_forgotten),
		OPEN_WORLD_TEST(who_was_cut_off_reads_everything),
	};
	return server_run(tests);
}

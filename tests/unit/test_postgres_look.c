/* SPDX-License-Identifier: Apache-2.0 */
/* What a look makes of a table that others have written to, against a private server. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_looks.h"

/* Neighbours are a row of the history, whatever their number; each is a line. */
static void first(void **state)
{
	struct world *w = *state;
	struct seen_attempts s = {0};
	sql("create schema out; create table out.fct as select * from src.events"
	    " where extract(day from ts) in (1, 2, 3, 5)");
	world_open(w);
	assert_true(w->targets[0].look);
	look(w, LOOK_FIRST);
	assert_string_equal(shown(w), "aaa.a..");
	assert_true(state_of(w, 0, 0)->s.finished > BEGIN);
	assert_string_equal(history(w, &s),
			    "0:0#0 adopted/-1/-1//, 0:1#0 adopted/-1/-1//, 0:2#0 adopted/-1/-1//,"
			    " 0:4#0 adopted/-1/-1//");
	assert_int_equal(s.us, -1);
	assert_string_equal(sql("select count(*) from batchfs.attempt where window_start is not null"), "2");
	assert_string_equal(recorded(w), "aaa.a..");
	seen_attempts_fini(&s);
}

/* What was built into a table that has gone is void; what another one holds instead is adopted. */
static void another_table(void **state)
{
	struct world *w = *state;
	struct seen_attempts s = {0};
	struct store_claim c;
	world_prepare(w, 0);
	build_days(w, 0, 0, 3, &c);
	history(w, &s);
	sql("drop table out.fct");
	assert_string_equal(recorded(w), "ddd....");
	assert_true(w->targets[0].look);
	assert_false(w->targets[0].exists);
	look(w, LOOK_FIRST);
	assert_int_equal(w->forgotten, 1);
	assert_string_equal(history(w, &s), "0:0#1 gone/-1/-1//, 0:1#1 gone/-1/-1//, 0:2#1 gone/-1/-1//");
	assert_string_equal(recorded(w), ".......");
	assert_false(w->targets[0].look);
	/* Looked at again nothing is news for anybody. */
	char before[32];
	snprintf(before, sizeof before, "%s", sql("select count(*) from batchfs.attempt"));
	look(w, LOOK_FIRST);
	assert_string_equal(sql("select count(*) from batchfs.attempt"), before);
	sql("create table out.fct as select * from src.events where extract(day from ts) = 2");
	assert_string_equal(recorded(w), ".......");
	assert_true(w->targets[0].look);
	look(w, LOOK_FIRST);
	assert_string_equal(history(w, &s), "0:1#0 adopted/-1/-1//");
	assert_string_equal(recorded(w), ".a.....");
	seen_attempts_fini(&s);
}

#define DAY_ROWS(n)                                                                                          \
	"insert into out.fct (ts, k) select '2024-09-0" #n "'::timestamptz, k from generate_series(1, 3) k;"

static int look_result(struct world *w, enum look_kind kind)
{
	struct error err = {0};
	return builder()->look(w->worker, 0, kind, &w->sink, &err);
}

/* What others have written and deleted is found, told, and recorded; nothing else is touched. */
static void again(void **state)
{
	struct world *w = *state;
	struct seen_attempts s = {0};
	struct store_claim c, running;
	int64_t seq;
	world_prepare(w, 0);
	build_days(w, 0, 0, 3, &c);
	build_days(w, 0, 5, 1, &c); /* a day without rows is done, and not gone */
	claim_days(w, 0, 3, 1, &running);
	assert_int_equal(request_days(w, 0, 4, 5, -1, 0, &seq), 0);
	history(w, &s);
	sql("delete from out.fct where ts < '2024-09-02'");
	sql(DAY_ROWS(4) DAY_ROWS(5));
	look(w, LOOK_ASKED);
	assert_string_equal(shown(w), "......."); /* only what has changed is told */
	assert_true(state_of(w, 0, 0)->known && !state_of(w, 0, 3)->known);
	assert_int_equal(w->forgotten, 0);
	assert_string_equal(history(w, &s), "0:0#1 gone/-1/-1//");
	assert_int_equal(state_of(w, 0, 0)->s.attempt, 1);
	assert_int_equal(state_of(w, 0, 0)->s.built, 0);
	assert_int_equal(settle_day(w, 0, 3, running.attempt[0], SETTLE_CANCELLED), 0);
	sql("update batchfs.request set open = false; update batchfs.state set run = 0 where run = 2");
	look(w, LOOK_ASKED);
	assert_string_equal(history(w, &s),
			    "0:3#1 cancelled/-1/7//, 0:3#1 adopted/-1/-1//, 0:4#0 adopted/-1/-1//");
	assert_string_equal(recorded(w), ".ddaad.");
	look(w, LOOK_ASKED);
	assert_string_equal(history(w, &s), "");
	/* What nobody knows the rows of cannot be gone. */
	sql("update batchfs.state set rows_inserted = null where not adopted; delete from out.fct");
	look(w, LOOK_ASKED);
	assert_string_equal(recorded(w), ".dd..d.");
	seen_attempts_fini(&s);
}

/* What was skipped shows that, whatever the table holds. */
static void skipped_ones_stay(void **state)
{
	struct world *w = *state;
	struct error err = {0};
	int64_t seq;
	world_prepare(w, 0);
	assert_int_equal(request_days(w, 0, 0, 2, -1, 0, &seq), 0);
	struct store_outcome o = {.kind = SETTLE_SKIPPED,
				  .batch = day(0),
				  .count = 2,
				  .wanted = seq,
				  .lowest = seq,
				  .finished = BEGIN,
				  .sqlstate = "",
				  .message = "why"};
	assert_int_equal(engine_postgres.store->settle(w->store, &o, 1, &err), 0);
	assert_int_equal(o.count, 2);
	sql("update batchfs.request set open = false");
	sql(DAY_ROWS(1) DAY_ROWS(3));
	look(w, LOOK_ASKED);
	assert_string_equal(shown(w), "..a....");
	assert_string_equal(sql("select count(*) from batchfs.state where outcome = 1"), "1");
}

/* By the clock nothing is read where nobody has written. The rows of a session that does not count are what
 * proves it: they are there, and are not found. */
static void by_the_clock(void **state)
{
	struct world *w = *state;
	struct store_claim c;
#define HIDDEN "begin; set local track_counts = off;"
#define COUNT  "select n_tup_ins + n_tup_del from pg_stat_all_tables where relid = 'out.fct'::regclass"
	world_prepare(w, 0);
	build_days(w, 0, 0, 1, &c);
	look(w, LOOK_CLOCK);
	while (strcmp(sql(COUNT), "10") != 0)
		look(w, LOOK_CLOCK);
	look(w, LOOK_CLOCK);
	sql(HIDDEN DAY_ROWS(3) "commit");
	look(w, LOOK_CLOCK);
	assert_string_equal(shown(w), ".......");
	/* What batchfs itself writes is no reason. */
	build_days(w, 0, 1, 1, &c);
	while (strcmp(sql(COUNT), "20") != 0)
		;
	look(w, LOOK_CLOCK);
	assert_string_equal(shown(w), ".......");
	sql(DAY_ROWS(4) "select pg_stat_force_next_flush()");
	while (strcmp(sql(COUNT), "23") != 0)
		;
	look(w, LOOK_CLOCK);
	assert_string_equal(shown(w), "..aa...");
	/* Of that nothing is counted: it shows by its files. */
	sql("truncate out.fct");
	look(w, LOOK_CLOCK);
	assert_string_equal(sql("select count(*) from batchfs.state where outcome = 1"), "0");
	/* Not by the clock where all of the table would be read. */
	sql("do $$ begin execute (select 'drop index ' || indexrelid::regclass from pg_index"
	    " where indrelid = 'out.fct'::regclass); end $$");
	sql(DAY_ROWS(5) "select pg_stat_force_next_flush()");
	look(w, LOOK_CLOCK);
	assert_string_equal(sql("select count(*) from batchfs.state where outcome = 1"), "0");
	look(w, LOOK_ASKED);
	assert_string_equal(sql("select count(*) from batchfs.state where outcome = 1"), "1");
}

/* A table that is locked is waited for for a second at most. */
static void a_locked_table(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	build_days(w, 0, 0, 1, &c);
	struct stranger *other = holder_session("begin; lock table out.fct in access exclusive mode");
	assert_int_equal(look_result(w, LOOK_ASKED), -EBUSY);
	assert_int_equal(look_result(w, LOOK_FIRST), -EBUSY);
	stranger_end(other);
	look(w, LOOK_ASKED);
}

/* Another table is no business of theirs. */
static void not_the_table_that_was_known(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	build_days(w, 0, 0, 1, &c);
	sql("alter table out.fct rename to gone; create table out.fct (like out.gone)");
	assert_int_equal(look_result(w, LOOK_ASKED), -EAGAIN);
	assert_int_equal(look_result(w, LOOK_CLOCK), -EAGAIN);
	assert_string_equal(recorded(w), "d......");
	sql("drop table out.fct");
	assert_int_equal(look_result(w, LOOK_ASKED), -EAGAIN);
}

/* Other mounts hear of what a look has found. */
static void others_hear(void **state)
{
	struct world *w = *state;
	struct world *other = calloc(1, sizeof *other);
	struct store_claim c;
	struct error err = {0};
	world_init(other);
	world_open(other);
	world_prepare(w, 0);
	build_days(w, 0, 0, 2, &c);
	sql("delete from out.fct where ts < '2024-09-02'");
	sql(DAY_ROWS(3) DAY_ROWS(4));
	look(w, LOOK_ASKED);
	while (!state_of(other, 0, 3)->known)
		assert_int_equal(engine_postgres.store->follow(other->store, 100, &other->sink, &err), 0);
	assert_string_equal(shown(other), ".daa...");
	world_close(other);
	free(other);
}

/* -o ro: told, and not written; what has gone again is told, too. */
static void read_only(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	build_days(w, 0, 0, 2, &c);
	world_close(w);
	w->config.read_only = true;
	recorded(w);
	sql("delete from out.fct where ts < '2024-09-02'");
	sql(DAY_ROWS(4));
	look(w, LOOK_ASKED);
	assert_string_equal(shown(w), ".d.a...");
	int forgotten = w->forgotten;
	look(w, LOOK_ASKED);
	assert_int_equal(w->forgotten, forgotten);
	sql("delete from out.fct");
	memset(w->states, 0, sizeof w->states);
	look(w, LOOK_ASKED);
	assert_string_equal(shown(w), ".......");
	assert_string_equal(sql("select count(*) from batchfs.attempt where outcome in ('adopted', 'gone')"),
			    "0");
}

static int not_there(struct world *w, int64_t began)
{
	const struct found_windows found = {.began = began};
	struct error err = {0};
	return builder()->record(w->worker, 0, LOOK_ASKED, &found, &w->sink, &err);
}

/* A guest that was told of no table proves nothing against what has been built since it asked. */
static void made_while_a_guest_looked(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	world_prepare(w, 0);
	int64_t began = clock_now_us(&w->clock);
	assert_int_equal(not_there(w, began), 0);
	build_days(w, 0, 0, 2, &c);
	assert_int_equal(not_there(w, began), -EBUSY);
	assert_string_equal(sql("select count(target_oid) from batchfs.model"), "1");
	assert_int_equal(not_there(w, INT64_MAX), -EAGAIN);
	assert_string_equal(sql("select count(target_oid) from batchfs.model"), "0");
}

#define TEST(name, set_up) cmocka_unit_test_setup_teardown(name, set_up, world_gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first, world_fresh),
		TEST(another_table, world_fresh_open),
		TEST(again, world_fresh_open),
		TEST(skipped_ones_stay, world_fresh_open),
		TEST(by_the_clock, world_fresh_open),
		TEST(a_locked_table, world_fresh_open),
		TEST(not_the_table_that_was_known, world_fresh_open),
		TEST(others_hear, world_fresh_open),
		TEST(read_only, world_fresh_open),
		TEST(made_while_a_guest_looked, world_fresh_open),
	};
	return server_run(tests);
}

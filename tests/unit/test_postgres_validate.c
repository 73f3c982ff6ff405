/* SPDX-License-Identifier: Apache-2.0 */
/* What a validation asks of a server, and how long what was asked for and found is kept there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_looks.h"

#define HOUR INT64_C(3600000000)

/* What was reported of validations since the world was opened. */
static struct store_validation told[100];
static size_t n_told;

static void tell(void *ctx, const struct store_validation *v)
{
	if (n_told < sizeof told / sizeof *told)
		told[n_told++] = *v;
}

static void load(struct world *w)
{
	world_close(w);
	n_told = 0;
	w->sink.validation = tell;
	world_open(w);
}

static int keep(struct world *w, struct store_validation *list, size_t n)
{
	struct error err = {0};
	return builder()->keep_validations(w->worker, list, n, &err);
}

static struct store_validation asked(struct world *w, struct ordinal_range batches)
{
	struct store_validation v = {.model = 0,
				     .batches = batches,
				     .state = VALIDATION_ASKED,
				     .asked_at = clock_now_us(&w->clock),
				     .findings = "",
				     .message = ""};
	assert_int_equal(keep(w, &v, 1), 0);
	assert_true(v.id > 0);
	return v;
}

/* Ends it `ago` before now. Its state, as the store has it. */
static enum validation_state over(struct world *w, struct store_validation v, enum validation_state state,
				  int64_t ago)
{
	v.state = state;
	v.at = clock_now_us(&w->clock) - ago;
	v.looked = validation_is_whole(&v) ? (struct ordinal_range){day(0), day(6)} : v.batches;
	v.batches_looked = 3;
	v.pending = 2;
	v.found = 1;
	v.findings = "count\t1725148800000000\t3\t4\t-1\t-1\t\n";
	v.message = state == VALIDATION_FAILED ? "why" : "";
	assert_int_equal(keep(w, &v, 1), 0);
	return v.state;
}

static int rows(void)
{
	return atoi(sql("select count(*) from batchfs.validation"));
}

static void what_was_found_is_kept(void **state)
{
	struct world *w = *state;
	world_prepare(w, 0);
	struct store_validation whole = asked(w, VALIDATION_WHOLE),
				part = asked(w, (struct ordinal_range){day(1), day(3)});
	assert_true(part.id > whole.id);
	assert_int_equal(over(w, whole, VALIDATION_DONE, 0), VALIDATION_DONE);
	/* Once. */
	assert_int_equal(over(w, whole, VALIDATION_CANCELLED, 0), VALIDATION_CANCELLED);
	assert_int_equal(over(w, whole, VALIDATION_DONE, 0), VALIDATION_CANCELLED);
	load(w);
	assert_int_equal(n_told, 2);
	assert_true(validation_is_whole(&told[0]));
	assert_int_equal(told[0].state, VALIDATION_DONE);
	assert_int_equal(told[0].looked.first, day(0));
	assert_int_equal(told[0].looked.end, day(6));
	assert_int_equal(told[0].batches_looked, 3);
	assert_int_equal(told[0].pending, 2);
	assert_int_equal(told[0].found, 1);
	assert_false(told[0].mine);
	assert_int_equal(told[1].batches.first, day(1));
	assert_int_equal(told[1].batches.end, day(3));
	assert_int_equal(told[1].state, VALIDATION_ASKED);
	/* Another mount's, which has ended. */
	struct error err = {0};
	for (int i = 0; i < 50 && !told[n_told - 1].mine; i++)
		assert_int_equal(engine_postgres.store->follow(w->store, 200, &w->sink, &err), 0);
	assert_int_equal(told[n_told - 1].id, part.id);
	assert_true(told[n_told - 1].mine);
	/* A table that was met anew since has no report. */
	sql("update batchfs.model set adopted_at = '2030-01-01'");
	load(w);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].state, VALIDATION_ASKED);
}

static void what_nobody_reads_any_more_goes(void **state)
{
	struct world *w = *state;
	world_prepare(w, 0);
	struct store_validation waits = asked(w, (struct ordinal_range){day(0), day(1)});
	for (int i = 0; i < 3; i++) {
		over(w, asked(w, (struct ordinal_range){day(2), day(3)}), VALIDATION_DONE, 2 * HOUR);
		over(w, asked(w, VALIDATION_WHOLE), VALIDATION_CANCELLED, 2 * HOUR);
		over(w, asked(w, VALIDATION_WHOLE), VALIDATION_FAILED, 2 * HOUR);
	}
	/* Other mounts may not have read these yet. */
	over(w, asked(w, VALIDATION_WHOLE), VALIDATION_FAILED, 0);
	over(w, asked(w, (struct ordinal_range){day(1), day(4)}), VALIDATION_DONE, 0);
	assert_int_equal(rows(), 3);
	assert_string_equal(sql("select count(*) from batchfs.validation where state = 'asked'"), "1");
	assert_int_equal(over(w, waits, VALIDATION_DONE, 0), VALIDATION_DONE);
	/* Of different stretches, so many. */
	sql("insert into batchfs.validation (model, first_start, end_start, state, asked_at, owner, origin, at)"
	    " select 1, t, t + interval '1 day', 'done', t, 0, 0, t"
	    " from generate_series('2020-01-01'::timestamptz, '2020-12-01', interval '1 day') t");
	over(w, asked(w, (struct ordinal_range){day(5), day(6)}), VALIDATION_DONE, 0);
	assert_in_range(rows(), VALIDATIONS_KEPT, VALIDATIONS_KEPT + 4);
}

static int64_t found(struct world *w, struct ordinal_range batches)
{
	struct error err = {0};
	struct tally t;
	auto_strbuf text = STRBUF_INIT;
	int r = builder()->validate(w->worker, 0, batches, &t, &err);
	if (r)
		fail_msg("%s", err.text);
	assert_int_equal(tally_judge(&t, &text), 0);
	int64_t n = t.found;
	tally_fini(&t);
	return n;
}

/* A unique index makes the second pass needless: it is not made. */
static void an_index_rules_duplicates_out(void **state)
{
	struct world *w = *state;
	static const char *key[] = {"ts", "\"k\"", NULL};
	struct store_claim c;
	w->models[0].unique_key = key;
	world_open(w);
	world_prepare(w, 0);
	build_days(w, 0, 0, 3, &c);
	assert_int_equal(found(w, VALIDATION_WHOLE), 0);
	sql("create index by_key on out.fct (ts, k)");
	sql("insert into out.fct (ts, k) select ts, k from out.fct where k = 3");
	/* Each day another count, and a pair. */
	assert_int_equal(found(w, VALIDATION_WHOLE), 6);
	assert_int_equal(found(w, (struct ordinal_range){day(1), day(2)}), 2);
	sql("delete from out.fct a using out.fct b where a.ts = b.ts and a.k = b.k and a.ctid > b.ctid");
	assert_int_equal(found(w, VALIDATION_WHOLE), 0);
	sql("drop index out.by_key; create unique index by_key on out.fct (ts)  where k < 0");
	sql("insert into out.fct (ts, k) select ts, k from out.fct where k = 3");
	assert_int_equal(found(w, VALIDATION_WHOLE), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_WORLD_TEST(what_was_found_is_kept),
		OPEN_WORLD_TEST(what_nobody_reads_any_more_goes),
		WORLD_TEST(an_index_rules_duplicates_out),
	};
	return server_run(tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a validation asks of a file, and that what was asked for and found outlives a mount. */
#include "tests/unit/sqlite_fixture.h"

static const char *no_key[] = {NULL}, *id_key[] = {"id", NULL};

/* What is found of the batches, as its findings say it: the kinds with the days they are of. */
static void finds(struct fixture *f, struct ordinal_range batches, const char *expected)
{
	struct tally t;
	struct findings found;
	auto_strbuf text = STRBUF_INIT, seen = STRBUF_INIT;
	GOOD(f->engine->builder->validate(f->worker, 0, batches, &t, &f->err));
	assert_int_equal(tally_judge(&t, &text), 0);
	assert_int_equal(findings_parse(text.str, BATCH_DAY, &found), 0);
	for (size_t i = 0; i < found.n; i++) {
		const struct problem *p = &found.list[i];
		strbuf_printf(&seen, "%s%s:%d/%d", i ? " " : "", problem_word(p->kind),
			      p->of_table ? -1 : (int)(p->batch - day(f, 0)), (int)p->rows);
	}
	assert_string_equal(seen.str, expected);
	findings_fini(&found);
	tally_fini(&t);
}

static void each_kind(void **state)
{
	struct fixture *f = *state;
	f->model[0].unique_key = id_key;
	events(f);
	build_days(f, 3);
	finds(f, VALIDATION_WHOLE, "");
	shell(f,
	      "INSERT INTO out VALUES (1, '2024-09-03 05:00:00'), (7, NULL), (8, '2024-09-01 noon'), (9, '2024-08-31')");
	finds(f, VALIDATION_WHOLE, "outside:-1/1 no_event_time:-1/2 duplicate:0/2 count:2/2 duplicate:2/2");
	finds(f, (struct ordinal_range){day(f, 0), day(f, 1)}, "duplicate:0/2");
	finds(f, (struct ordinal_range){day(f, 1), day(f, 2)}, "");
	/* Nothing says of an empty table what times it holds. */
	shell(f, "DELETE FROM out");
	finds(f, VALIDATION_WHOLE, "empty:0/0 count:0/0 empty:1/0 count:1/0 empty:2/0 count:2/0");
	finds(f, (struct ordinal_range){day(f, 1), day(f, 2)}, "empty:1/0 count:1/0");
	shell(f, "DELETE FROM events WHERE ts LIKE '2024-09-02%'");
	finds(f, (struct ordinal_range){day(f, 1), day(f, 2)}, "count:1/0");
	/* Nor has one that has gone anything built in it. */
	shell(f, "DROP TABLE out");
	finds(f, VALIDATION_WHOLE, "");
}

static void a_unique_index_is_believed(void **state)
{
	struct fixture *f = *state;
	f->model[0].unique_key = id_key;
	events(f);
	build_days(f, 2);
	shell(f, "INSERT INTO out SELECT id, ts FROM out WHERE id = 1");
	finds(f, VALIDATION_WHOLE, "count:0/3 duplicate:0/3");
	/* Those that say nothing of the key. */
	shell(f, "CREATE UNIQUE INDEX partial ON out (id) WHERE id > 1;"
		 "CREATE UNIQUE INDEX other ON out (id + 0 * id, ts) WHERE id > 1");
	finds(f, VALIDATION_WHOLE, "count:0/3 duplicate:0/3");
	shell(f,
	      "DELETE FROM out WHERE rowid = (SELECT max(rowid) FROM out); CREATE UNIQUE INDEX by_id ON out (ID)");
	finds(f, VALIDATION_WHOLE, "");
}

/* Only what reads may be asked for, and nothing of ours. */
static void the_users_own_query_reads(void **state)
{
	struct fixture *f = *state;
	static const char *const wrong[] = {"DELETE FROM events",
					    "SELECT 1",
					    "SELECT ts, 1 FROM nowhere",
					    "SELECT 'soon', 1",
					    "PRAGMA user_version = 7",
					    "SELECT '2024-09-01', 1; SELECT 1",
					    "SELECT batchfs_start('2024-09-01', 1), 1"};
	f->model[0].unique_key = no_key;
	events(f);
	build_days(f, 1);
	f->model[0].expect = "SELECT date(ts), count(*) FROM events GROUP BY 1";
	finds(f, VALIDATION_WHOLE, "");
	f->model[0].expect = "SELECT strftime('%s', '2024-09-01') + 0, 3";
	finds(f, VALIDATION_WHOLE, "expect:0/2");
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		f->model[0].expect = wrong[i];
		finds(f, VALIDATION_WHOLE, "expect:-1/-1");
	}
	assert_int_equal(shell(f, "SELECT count(*) FROM events"), 4);
}

static struct store_validation told[8];
static size_t n_told;

static void tell(void *ctx, const struct store_validation *v)
{
	(void)ctx;
	assert_true(n_told < sizeof told / sizeof *told);
	told[n_told++] = *v;
}

/* Another mount of the file. */
static void reload(struct fixture *f)
{
	n_told = 0;
	disconnect(f);
	GOOD(f->engine->store->open(&f->config, &f->store, &f->err));
	GOOD(f->engine->store->enlist(f->store, f->models, f->target, f->n_models, &f->err));
	struct store_sink sink = sink_of(f);
	sink.validation = tell;
	GOOD(f->engine->store->load(f->store, &sink, &f->err));
	GOOD(f->engine->builder->worker_open(f->store, "worker", &f->worker, &f->err));
}

static void it_outlives_the_mount(void **state)
{
	struct fixture *f = *state;
	f->model[0].unique_key = no_key;
	events(f);
	build_days(f, 3);
	struct store_validation v[2] = {
		{.batches = VALIDATION_WHOLE, .asked_at = DAY_2024_09_01, .findings = "", .message = ""},
		{.batches = {day(f, 1), day(f, 3)},
		 .asked_at = DAY_2024_09_01,
		 .findings = "",
		 .message = ""}};
	GOOD(f->engine->builder->keep_validations(f->worker, v, 2, &f->err));
	assert_true(v[0].id > 0 && v[1].id > v[0].id);
	v[0].state = VALIDATION_DONE;
	v[0].at = DAY_2024_09_01;
	v[0].looked = (struct ordinal_range){day(f, 0), day(f, 4)};
	v[0].batches_looked = 3;
	v[0].pending = 1;
	v[0].found = 1;
	v[0].findings = "count\t1725148800000000\t3\t2\t-1\t-1\t\n";
	GOOD(f->engine->builder->keep_validations(f->worker, v, 1, &f->err));
	/* Over is over. */
	v[0].state = VALIDATION_FAILED;
	GOOD(f->engine->builder->keep_validations(f->worker, v, 1, &f->err));
	assert_int_equal(v[0].state, VALIDATION_CANCELLED);
	reload(f);
	assert_int_equal(n_told, 2);
	assert_int_equal(told[0].state, VALIDATION_DONE);
	assert_true(validation_is_whole(&told[0]));
	assert_int_equal(told[0].looked.end, day(f, 4));
	assert_int_equal(told[0].found, 1);
	assert_false(told[0].mine);
	assert_int_equal(told[1].state, VALIDATION_ASKED);
	assert_true(told[1].mine);
	assert_int_equal(told[1].batches.first, day(f, 1));
	assert_int_equal(told[1].batches.end, day(f, 3));
	/* Of another table nothing is known; what was asked for is still to come. */
	struct store_sink sink = sink_of(f);
	shell(f, "DROP TABLE out; CREATE TABLE out (id, ts)");
	reload(f);
	GOOD(f->engine->builder->look(f->worker, 0, LOOK_FIRST, &sink, &f->err));
	reload(f);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].state, VALIDATION_ASKED);
	v[1].state = VALIDATION_CANCELLED;
	GOOD(f->engine->builder->keep_validations(f->worker, &v[1], 1, &f->err));
	reload(f);
	assert_int_equal(n_told, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(each_kind), TEST(a_unique_index_is_believed),
					   TEST(the_users_own_query_reads), TEST(it_outlives_the_mount)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

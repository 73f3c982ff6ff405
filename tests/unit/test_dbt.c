/* SPDX-License-Identifier: Apache-2.0 */
/* What dbt tells, and what becomes of it: events, run_results.json, chunks. Streams of dbt 1.11 with
 * DuckDB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/base/cleanup.h"
#include "backend/dbt/chunk.h"
#include "tests/unit/dbt_fixture.h"

static const struct clock real_clock;

struct seen {
	enum build_outcome outcome[CLAIM_MAX]; /* of the last report */
	unsigned reports[CLAIM_MAX], begun[CLAIM_MAX], weight[CLAIM_MAX];
	char text[CLAIM_MAX][1024];
};

struct fixture {
	struct build_run run;
	struct chunk chunk;
	struct seen seen;
};

static void see(void *ctx, const struct build_report *r)
{
	struct fixture *f = ctx;
	uint32_t i = r->batch - f->run.first;
	assert_int_equal(r->attempt, f->run.attempt[i]);
	if (r->outcome == BUILD_STARTED) {
		f->seen.begun[i]++;
		return;
	}
	f->seen.reports[i]++;
	f->seen.outcome[i] = r->outcome;
	f->seen.weight[i] = r->weight;
	snprintf(f->seen.text[i], sizeof f->seen.text[i], "%s", r->err ? r->err->text : "");
}

/* A chunk of 2024-09-01 .. 2024-09-04. */
static struct fixture *four_days(void)
{
	struct fixture *f = calloc(1, sizeof *f);
	f->run = (struct build_run){.first = day("2024-09-01"), .count = 4, .attempt = {3, 1, 1, 2}};
	f->chunk = (struct chunk){.clock = &real_clock,
				  .m = &sessions,
				  .run = &f->run,
				  .first = f->run.first,
				  .count = 4,
				  .report = see,
				  .ctx = f};
	return f;
}

static void feed(struct fixture *f, const char *line)
{
	auto_event e;
	event_parse(line, strcspn(line, "\n"), &e);
	chunk_event(&f->chunk, &e);
}

static void path_of(const char *name, char path[512])
{
	snprintf(path, 512, "%s/tests/fixtures/dbt/%s", getenv("BATCHFS_SOURCE"), name);
}

/* The first `lines` of the stream; 0: all. */
static void play(struct fixture *f, const char *name, int lines)
{
	char path[512], line[8192];
	path_of(name, path);
	auto_file FILE *file = fopen(path, "r");
	assert_non_null(file);
	for (int i = 0; (!lines || i < lines) && fgets(line, sizeof line, file); i++)
		feed(f, line);
}

static bool settle(struct fixture *f, const char *results, bool interrupted, int code)
{
	char path[512];
	struct results r;
	struct chunk_end how = {.interrupted = interrupted, .code = code, .said = "its last words"};
	path_of(results, path);
	results_read(path, f->chunk.invocation, &sessions, f->chunk.first, f->chunk.count, &r);
	bool on = chunk_settle(&f->chunk, &r, &how);
	for (uint32_t i = 0; i < f->chunk.count; i++)
		assert_int_equal(f->seen.reports[i], f->seen.outcome[i] == BUILD_RETRACTED ? 2 : 1);
	return on;
}

static void expect(struct fixture *f, enum build_outcome a, enum build_outcome b, enum build_outcome c,
		   enum build_outcome d)
{
	const enum build_outcome all[] = {a, b, c, d};
	for (int i = 0; i < 4; i++)
		if (f->seen.outcome[i] != all[i])
			fail_msg("batch %d: %d, expected %d: %s", i, f->seen.outcome[i], all[i],
				 f->seen.text[i]);
}

static void events_are_read(void **state)
{
	auto_event e;
	static const char ended[] =
		"{\"data\": {\"batch_index\": 2, \"description\": \"batch 2024-09-02 of an.sessions\", \"status\": "
		"\"MERGE 12\", \"node_info\": {\"unique_id\": \"model.shop.sessions\", \"node_status\": \"success\", "
		"\"node_relation\": {\"relation_name\": \"r\"}}}, \"info\": {\"code\": \"Q046\", \"thread\": "
		"\"Thread-1\", \"level\": \"info\", \"invocation_id\": \"abc\"}}";
	event_parse(ended, strlen(ended), &e);
	assert_int_equal(e.kind, EVENT_BATCH_ENDED);
	assert_int_equal(e.end, END_DONE);
	assert_int_equal(e.rows, 12);
	assert_memory_equal(e.batch, "2024-09-02", e.batch_len);
	assert_string_equal(e.relation, "r");
	assert_string_equal(e.thread, "Thread-1");
	assert_string_equal(e.invocation, "abc");
}

static void garbage_is_no_event(void **state)
{
	static const char *const garbage[] = {
		"",
		"hello",
		"{",
		"{}",
		"[]",
		"{\"data\": 1, \"info\": []}",
		"{\"batchfs\": 3}",
		"{\"data\": {}, \"info\": {\"code\": \"Q046\"}}\n",
		"\xff\xfe{",
		"{\"info\": {}}",
		"{\"data\": {\"description\": \"batch \"}, \"info\": {\"code\": \"Q046\"}}",
	};
	for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
		auto_event e;
		event_parse(garbage[i], strlen(garbage[i]), &e);
		assert_true(e.kind == EVENT_GARBAGE || e.kind == EVENT_OTHER);
	}
	auto_event e;
	event_parse("{\"batchfs\": {\"ended\": -9}}", 26, &e);
	assert_int_equal(e.kind, EVENT_ENDED);
	assert_int_equal(e.number, -9);
}

static void a_run_that_partly_fails(void **state)
{
	auto_free struct fixture *f = four_days();
	play(f, "partly_failed.jsonl", 0);
	expect(f, BUILD_DONE, BUILD_FAILED, BUILD_DONE, BUILD_DONE);
	assert_false(settle(f, "partly_failed.results.json", false, 1));
	expect(f, BUILD_DONE, BUILD_FAILED, BUILD_DONE, BUILD_DONE);
	assert_non_null(strstr(f->seen.text[1], "Could not convert string 'bad5' to INT32"));
	assert_null(strstr(f->seen.text[1], "worker thread"));
	assert_int_equal(f->seen.weight[1], 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(f->seen.begun[i], 1);
}

/* What dbt skips because its first batch failed was not tried. */
static void what_dbt_skips_goes_back(void **state)
{
	auto_free struct fixture *f = four_days();
	play(f, "first_failed.jsonl", 0);
	assert_false(settle(f, "first_failed.results.json", false, 1));
	expect(f, BUILD_FAILED, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED);
	assert_true(3 * f->seen.weight[0] >= 10);
}

static void killed_in_the_middle(void **state)
{
	auto_free struct fixture *f = four_days();
	play(f, "partly_failed.jsonl", 5); /* begins batch 1, and ends it */
	assert_false(settle(f, "none.json", false, -9));
	expect(f, BUILD_DONE, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED);
	auto_free struct fixture *g = four_days();
	play(g, "partly_failed.jsonl", 4); /* begins batch 1 */
	assert_int_equal(g->seen.begun[0], 1);
	/* The file of another invocation says nothing. */
	assert_false(settle(g, "first_failed.results.json", false, -9));
	expect(g, BUILD_PASSING, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED);
	assert_non_null(strstr(g->seen.text[0], "signal 9"));
	auto_free struct fixture *h = four_days();
	play(h, "partly_failed.jsonl", 4);
	assert_false(settle(h, "none.json", true, -9));
	expect(h, BUILD_INTERRUPTED, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED);
}

/* Lines that were lost: the file of this invocation vouches for what it names, and for nothing else. */
static void results_vouch_for_lost_events(void **state)
{
	auto_free struct fixture *f = four_days();
	play(f, "partly_failed.jsonl", 1);
	assert_false(settle(f, "partly_failed.results.json", false, 1));
	expect(f, BUILD_DONE, BUILD_UNSTARTED, BUILD_DONE, BUILD_DONE);
}

/* The file of the same invocation has the last word about what an event calls done. */
static void what_results_deny_is_taken_back(void **state)
{
	auto_free struct fixture *f = four_days();
	play(f, "partly_failed.jsonl", 0);
	expect(f, BUILD_DONE, BUILD_FAILED, BUILD_DONE, BUILD_DONE);
	/* It calls the third failed, and does not name the fourth. */
	assert_false(settle(f, "denies.results.json", false, 0));
	expect(f, BUILD_DONE, BUILD_FAILED, BUILD_RETRACTED, BUILD_RETRACTED);
	assert_non_null(strstr(f->seen.text[2], "run_results.json of the same run that it failed"));
	assert_non_null(strstr(f->seen.text[3], "run_results.json of the same run does not name it"));
	/* One that cannot be understood as a whole denies nothing by what it leaves out. */
	auto_free struct fixture *g = four_days();
	play(g, "partly_failed.jsonl", 0);
	assert_false(settle(g, "other_windows.results.json", false, 1));
	expect(g, BUILD_DONE, BUILD_FAILED, BUILD_DONE, BUILD_DONE);
}

static void nothing_was_begun(void **state)
{
	auto_free struct fixture *f = four_days();
	assert_false(settle(f, "none.json", false, 2));
	expect(f, BUILD_FAILED, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED);
	assert_string_equal(f->seen.text[0], "its last words");
	auto_free struct fixture *g = four_days();
	feed(g,
	     "{\"data\": {\"exc\": \"no such profile\"}, \"info\": {\"level\": \"error\", \"code\": \"Z002\"}}");
	/* Where that was in dbt's code concerns nobody. */
	feed(g,
	     "{\"data\": {\"stack_trace\": \"Traceback\"}, \"info\": {\"level\": \"error\", \"msg\": \"Traceback\"}}");
	assert_false(settle(g, "none.json", false, 2));
	assert_string_equal(g->seen.text[0], "no such profile");
	auto_free struct fixture *h = four_days();
	assert_false(settle(h, "none.json", false, 0));
	expect(h, BUILD_FAILED, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED);
	assert_non_null(strstr(h->seen.text[0], "has built no batch of model.shop.sessions"));
	auto_free struct fixture *i = four_days();
	assert_false(settle(i, "none.json", true, 2));
	expect(i, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED);
}

static void another_table_is_not_built(void **state)
{
	auto_free struct fixture *f = four_days();
	feed(f,
	     "{\"data\": {\"description\": \"batch 2024-09-01 of other.sessions\", \"node_info\": {\"unique_id\": "
	     "\"model.shop.sessions\", \"node_relation\": {\"relation_name\": \"other.sessions\"}}}, \"info\": "
	     "{\"code\": \"Q045\"}}");
	assert_string_not_equal(f->chunk.stop, "");
	assert_false(settle(f, "none.json", false, -9));
	expect(f, BUILD_FAILED, BUILD_UNSTARTED, BUILD_UNSTARTED, BUILD_UNSTARTED);
	assert_non_null(strstr(f->seen.text[0], "dbt builds other.sessions and the manifest says"));
	auto_free struct fixture *g = four_days();
	feed(g, "{\"data\": {\"node_count\": 2}, \"info\": {\"code\": \"Q027\"}}");
	assert_string_not_equal(g->chunk.stop, "");
	assert_false(settle(g, "none.json", false, -9));
	assert_non_null(strstr(g->seen.text[0], "dbt would run 2 nodes"));
}

/* Events of two threads come mixed: an error belongs to the batch that ends in its thread. */
static void errors_keep_to_their_threads(void **state)
{
	static const char start[] =
		"{\"data\": {\"description\": \"batch 2024-09-0%d of x\", \"status\": \"ERROR\", \"node_info\": "
		"{\"unique_id\": \"model.shop.sessions\", \"node_status\": \"%s\"}}, \"info\": {\"code\": \"%s\", "
		"\"thread\": \"T%d\"}}";
	static const char error[] =
		"{\"data\": {\"exc\": \"error of %d\"}, \"info\": {\"code\": \"W004\", \"level\": \"error\", \"thread\": "
		"\"T%d\"}}";
	auto_free struct fixture *f = four_days();
	char line[512];
	for (int i = 2; i <= 3; i++) {
		snprintf(line, sizeof line, start, i, "started", "Q045", i);
		feed(f, line);
	}
	for (int i = 2; i <= 3; i++) {
		snprintf(line, sizeof line, error, i, i);
		feed(f, line);
	}
	for (int i = 2; i <= 3; i++) {
		snprintf(line, sizeof line, start, i, "error", "Q046", i);
		feed(f, line);
	}
	assert_string_equal(f->seen.text[1], "error of 2");
	assert_string_equal(f->seen.text[2], "error of 3");
}

static void errors_that_may_pass(void **state)
{
	assert_true(error_may_pass(
		"IO Error: Could not set lock on file \"x.duckdb\": Conflicting lock is held"));
	assert_false(error_may_pass("division by zero"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_read),
		cmocka_unit_test(garbage_is_no_event),
		cmocka_unit_test(a_run_that_partly_fails),
		cmocka_unit_test(what_dbt_skips_goes_back),
		cmocka_unit_test(killed_in_the_middle),
		cmocka_unit_test(results_vouch_for_lost_events),
		cmocka_unit_test(what_results_deny_is_taken_back),
		cmocka_unit_test(nothing_was_begun),
		cmocka_unit_test(another_table_is_not_built),
		cmocka_unit_test(errors_keep_to_their_threads),
		cmocka_unit_test(errors_that_may_pass),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

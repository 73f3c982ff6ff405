/* SPDX-License-Identifier: Apache-2.0 */
/* The whole backend over the SQLite engine, from several threads: what the FUSE thread and main do to it. */
#include "backend/schedule/finding.h"
#include "backend/schedule/sink.h"
#include "tests/unit/backend_fixture.h"

static void a_range_is_built(void **state)
{
	struct fixture *f = *state;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 0, DAYS, -1), 0);
	settle(f, 0, DAYS);
	for (ordinal d = 0; d < DAYS; d++)
		assert_int_equal(state_of(f, d), BATCH_DONE);
	assert_int_equal(verdict(f, 0, DAYS), 0);
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(f->b, 0, f->first, &out), 0);
	assert_non_null(strstr(out.str, "\"rows_inserted\": 1"));
	assert_non_null(strstr(out.str, "\"command\": \"test_backend\""));
	struct batch_glance g;
	assert_int_equal(backend_glance(f->b, 0, f->first, &g), 0);
	assert_int_equal(out.len, g.size);
}

static void a_failure_is_shown_and_mended(void **state)
{
	struct fixture *f = *state;
	open_backend(f, false);
	sql(f, "DROP TABLE raw");
	assert_int_equal(ask_and_wait(f, 2, 3, BATCH_PENDING), 0);
	settle(f, 2, 3);
	assert_int_equal(state_of(f, 2), BATCH_FAILED);
	assert_int_equal(verdict(f, 2, 3), -EIO);
	sql(f, "CREATE TABLE raw (id INTEGER, ts TEXT, val INTEGER); INSERT INTO raw VALUES (1, "
	       "'2024-01-03', 2)");
	assert_int_equal(ask_and_wait(f, 2, 3, BATCH_FAILED), 0);
	settle(f, 2, 3);
	assert_int_equal(state_of(f, 2), BATCH_DONE);
	assert_int_equal(ask_and_wait(f, 2, 3, BATCH_FAILED), -ENOENT);
}

static void states_outlive_the_daemon(void **state)
{
	struct fixture *f = *state;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 0, 5, -1), 0);
	settle(f, 0, 5);
	backend_stop(f->b);
	backend_close(f->b);
	open_backend(f, false);
	assert_int_equal(state_of(f, 4), BATCH_DONE);
	assert_int_equal(state_of(f, 5), BATCH_PENDING);
}

/* One request of three stretches, because two batches between them are done. */
static void a_reason_reaches_every_stretch(void **state)
{
	struct fixture *f = *state;
	uint64_t ticket;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 1, 2, -1), 0);
	assert_int_equal(ask_and_wait(f, 3, 4, -1), 0);
	settle(f, 0, 5);
	struct backend_part part = {.batches = {f->first, f->first + 5}, .states = 1u << BATCH_PENDING};
	struct backend_request r = {
		.parts = &part, .n_parts = 1, .expected = -1, .uid = 7, .done = answered, .ctx = f};
	backend_request(f->b, &r, &ticket);
	wait_for_answers(f, 3);
	backend_reason(f->b, ticket, "INC-4711", answered, f);
	wait_for_answers(f, 4);
	assert_int_equal(f->result, 0);
	settle(f, 0, 5);
	for (ordinal d = 0; d < 5; d += 2) {
		auto_strbuf out = STRBUF_INIT;
		assert_int_equal(backend_batch_document(f->b, 0, f->first + d, &out), 0);
		assert_non_null(strstr(out.str, "INC-4711"));
	}
}

static void read_only_refuses(void **state)
{
	struct fixture *f = *state;
	open_backend(f, true);
	assert_int_equal(ask_and_wait(f, 0, 1, -1), -EROFS);
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(f->b, 0, f->first, &out), 0);
	assert_non_null(strstr(out.str, "\"errno\": \"EROFS\""));
}

static int no_worker(struct store *s, const char *lane, struct worker **out, struct error *err)
{
	(void)s;
	(void)lane;
	*out = NULL;
	return error_set(err, ENOMEM, "no memory for a worker");
}

/* What is asked for all the same fails and says why; it does not wait for ever. */
static void without_workers_batches_fail(void **state)
{
	struct fixture *f = *state;
	struct builder_ops builder = *engine_sqlite.builder;
	struct engine engine = engine_sqlite;
	builder.worker_open = no_worker;
	engine.builder = &builder;
	f->engine = &engine;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 0, 2, -1), 0);
	settle(f, 0, 2);
	assert_int_equal(state_of(f, 0), BATCH_FAILED);
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(f->b, 0, f->first, &out), 0);
	assert_non_null(strstr(out.str, "no memory for a worker"));
	backend_stop(f->b);
	backend_close(f->b);
	f->b = NULL;
}

static void stopped_backends_answer(void **state)
{
	struct fixture *f = *state;
	open_backend(f, false);
	backend_stop(f->b);
	assert_int_equal(ask_and_wait(f, 0, 1, -1), -ECANCELED);
}

static void *reader(void *arg)
{
	struct fixture *f = arg;
	struct batch_glance g[DAYS];
	for (int i = 0; i < 2000; i++) {
		backend_glances(f->b, 0, f->first, DAYS, g);
		auto_strbuf out = STRBUF_INIT;
		backend_root_status(f->b, &out);
	}
	return NULL;
}

static void *asker(void *arg)
{
	struct fixture *f = arg;
	for (ordinal d = 0; d < DAYS; d++)
		ask(f, d, d + 1, -1);
	return NULL;
}

static void many_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[4];
	open_backend(f, false);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i < 2 ? reader : asker, f), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	wait_for_answers(f, 2 * DAYS);
	settle(f, 0, DAYS);
	for (ordinal d = 0; d < DAYS; d++)
		assert_int_equal(state_of(f, d), BATCH_DONE);
}

/* What was adopted elsewhere is pending for nobody, not even between the news that all is void and its rows.
 */
static void what_is_being_told_is_unknown(void **state)
{
	struct fixture *f = *state;
	struct store_sink sink;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 0, 1, -1), 0);
	settle(f, 0, 1);
	backend_sink(f->b, &sink);
	sink.forget(sink.ctx, 0);
	assert_int_equal(state_of(f, 0), BATCH_UNKNOWN);
	assert_true(backend_looking(f->b, 0));
	struct store_state adopted = adopted_state(0, f->first, clock_now_us(&f->clock));
	sink.state(sink.ctx, &adopted);
	assert_int_equal(state_of(f, 1), BATCH_UNKNOWN);
	sink.told(sink.ctx, 0);
	assert_false(backend_looking(f->b, 0));
	assert_int_equal(state_of(f, 0), BATCH_DONE);
	assert_int_equal(state_of(f, 1), BATCH_PENDING);
}

/* A look has read the batch before it was built: what came of that stays. */
static void a_look_overrides_no_newer_attempt(void **state)
{
	struct fixture *f = *state;
	struct finding look;
	open_backend(f, false);
	assert_int_equal(ask_and_wait(f, 0, 1, -1), 0);
	settle(f, 0, 1);
	finding_init(&look, f->b, false);
	struct store_state seen = adopted_state(0, f->first, 1);
	look.sink.state(look.sink.ctx, &seen);
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(f->b, 0, f->first, &out), 0);
	assert_non_null(strstr(out.str, "\"adopted\": false"));
	seen.attempt = 1;
	look.sink.state(look.sink.ctx, &seen);
	out.len = 0;
	assert_int_equal(backend_batch_document(f->b, 0, f->first, &out), 0);
	assert_non_null(strstr(out.str, "\"adopted\": true"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_range_is_built, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_failure_is_shown_and_mended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(states_outlive_the_daemon, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reason_reaches_every_stretch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(read_only_refuses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_being_told_is_unknown, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_look_overrides_no_newer_attempt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_workers_batches_fail, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stopped_backends_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_threads, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("backend", tests, NULL, NULL);
}

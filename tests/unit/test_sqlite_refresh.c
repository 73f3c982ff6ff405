/* SPDX-License-Identifier: Apache-2.0 */
/* Full refreshes in the SQLite engine: who may begin one, its phases, and the clearing. */
#include "backend/sqlite/warehouse.h"
#include "tests/unit/sqlite_fixture.h"

#define ROWS  "SELECT count(*) FROM out WHERE id = -1"
#define GIVEN "INSERT INTO out VALUES (-1, NULL), (-1, '2020-01-01'), (-1, '2031-01-01')"

static struct store_request full(const struct fixture *f, unsigned char touch)
{
	return (struct store_request){.uuid = {touch},
				      .kind = REQUEST_FULL,
				      .batches = {day(f, 0), day(f, 5)},
				      .expected = -1,
				      .uid = 5,
				      .command = "touch",
				      .reason = "why",
				      .at = DAY_2024_09_01 + 5};
}

static int send(struct fixture *f, struct store_request *q)
{
	GOOD(f->engine->store->request(f->store, q, 1, NULL, &f->err));
	return q->result;
}

static int take_step(struct fixture *f, struct refresh_step step)
{
	struct store_sink sink = sink_of(f);
	step.at = DAY_2024_09_01 + 9;
	GOOD(f->engine->store->refresh(f->store, &step, &sink, &f->err));
	return step.taken;
}

static void begin(struct fixture *f)
{
	events(f);
	connect_all(f);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
}

static void from_phase_to_phase(void **state)
{
	struct fixture *f = *state;
	begin(f);
	struct store_request q = full(f, 1), again = full(f, 2);
	assert_int_equal(send(f, &q), 0);
	assert_int_equal(send(f, &again), -EBUSY);
	assert_non_null(strstr(again.err.text, "uid 5 (touch)"));
	int64_t id = q.id;
	assert_int_equal(send(f, &q), 0);
	assert_int_equal(q.id, id);
	struct refresh_step build = {
		.id = id, .from = REFRESH_CLEAR, .to = REFRESH_BUILD, .rows_outside = 3, .error = ""};
	assert_int_equal(take_step(f, build), 0);
	assert_int_equal(f->seen.refresh.phase, REFRESH_BUILD);
	assert_int_equal(f->seen.refresh.rows_outside, 3);
	assert_int_equal(f->seen.request.id, id);
	assert_true(f->seen.request.open);
	assert_int_equal(f->seen.request.at, DAY_2024_09_01 + 9);
	assert_int_equal(take_step(f, build), -ESTALE);
	disconnect(f);
	connect_all(f);
	assert_int_equal(f->seen.refreshes, 1);
	assert_int_equal(f->seen.refresh.phase, REFRESH_BUILD);
	assert_int_equal(f->seen.refresh.batches.end, day(f, 5));
	struct refresh_step over = {.id = id,
				    .from = REFRESH_BUILD,
				    .to = REFRESH_OVER,
				    .result = REFRESH_FAILED,
				    .error = "one failed"};
	assert_int_equal(take_step(f, over), 0);
	assert_int_equal(f->seen.refresh.result, REFRESH_FAILED);
	assert_string_equal(f->seen.refresh.error, "one failed");
	assert_int_equal(f->seen.refresh.rows_outside, 3);
	assert_int_equal(send(f, &again), 0);
}

static void refused(void **state)
{
	struct fixture *f = *state;
	begin(f);
	struct store_request q = full(f, 1);
	struct store_request freeze = {.kind = REQUEST_FREEZE,
				       .uuid = {9},
				       .batches = {day(f, 2), day(f, 3)},
				       .expected = -1,
				       .command = "chmod"};
	struct store_request protect = {.kind = REQUEST_PROTECT,
					.uuid = {8},
					.batches = {day(f, 0), day(f, 0)},
					.expected = -1,
					.command = "chmod"};
	assert_int_equal(send(f, &freeze), 0);
	assert_int_equal(send(f, &q), -EPERM);
	assert_non_null(strstr(q.err.text, "2024-09-03"));
	assert_int_equal(send(f, &protect), 0);
	assert_int_equal(send(f, &q), -EPERM);
	assert_non_null(strstr(q.err.text, "is protected"));
}

static void clear_all(struct fixture *f, struct clear_step *step)
{
	while (!step->over)
		GOOD(f->engine->builder->clear(f->worker, step, &f->err));
}

static void what_is_cleared(void **state)
{
	struct fixture *f = *state;
	begin(f);
	shell(f, GIVEN);
	struct store_request q = full(f, 1);
	assert_int_equal(send(f, &q), 0);
	struct clear_step step = {.id = q.id, .batches = q.batches};
	GOOD(f->engine->builder->clear(f->worker, &step, &f->err));
	assert_int_equal(step.rows_outside, 1);
	/* Killed, and begun anew: the counts commit with the rows. */
	disconnect(f);
	connect_all(f);
	step = (struct clear_step){.id = q.id, .batches = q.batches};
	clear_all(f, &step);
	assert_int_equal(step.rows_outside, 2);
	assert_int_equal(step.rows_without_event_time, 1);
	assert_int_equal(shell(f, ROWS), 0);
	struct refresh_step over = {.id = q.id,
				    .from = REFRESH_CLEAR,
				    .to = REFRESH_OVER,
				    .result = REFRESH_CANCELLED,
				    .error = ""};
	assert_int_equal(take_step(f, over), 0);
	shell(f, GIVEN);
	step.over = false;
	assert_int_equal(f->engine->builder->clear(f->worker, &step, &f->err), -ESTALE);
	assert_int_equal(shell(f, ROWS), 3);
	/* Of the next one the counts begin anew. */
	struct store_request next = full(f, 2);
	assert_int_equal(send(f, &next), 0);
	step = (struct clear_step){.id = next.id, .batches = next.batches};
	clear_all(f, &step);
	assert_int_equal(step.rows_outside, 2);
}

struct cancel {
	const char *file;
	int result; /* of SQLite */
};

/* What a cancel would do as the deletion commits. */
static int cancel_now(void *ctx)
{
	struct cancel *c = ctx;
	char path[128];
	sqlite3 *queue = NULL;
	snprintf(path, sizeof path, "%s-queue", c->file);
	assert_int_equal(sqlite3_open(path, &queue), SQLITE_OK);
	c->result = sqlite3_exec(queue, "UPDATE refresh SET phase = ''", NULL, NULL, NULL);
	sqlite3_close(queue);
	return 0;
}

static void no_cancel_comes_between_the_look_and_the_commit(void **state)
{
	struct fixture *f = *state;
	begin(f);
	shell(f, GIVEN);
	struct store_request q = full(f, 1);
	assert_int_equal(send(f, &q), 0);
	struct clear_step step = {.id = q.id, .batches = q.batches};
	struct cancel c = {.file = f->file};
	sqlite3_commit_hook(f->worker->db, cancel_now, &c);
	GOOD(f->engine->builder->clear(f->worker, &step, &f->err));
	sqlite3_commit_hook(f->worker->db, NULL, NULL);
	assert_int_equal(c.result, SQLITE_BUSY);
	assert_int_equal(step.rows_outside, 1);
}

/* What is no time is in nobody's window, and stays to be named. */
static void what_is_no_time(void **state)
{
	struct fixture *f = *state;
	begin(f);
	shell(f, "INSERT INTO out VALUES (-1, '2020-01-01'), (-1, '2025 no time'), (-1, '2031-01-01')");
	struct store_request q = full(f, 1);
	assert_int_equal(send(f, &q), 0);
	struct clear_step step = {.id = q.id, .batches = q.batches};
	GOOD(f->engine->builder->clear(f->worker, &step, &f->err));
	assert_int_equal(step.rows_outside, 1);
	assert_int_equal(f->engine->builder->clear(f->worker, &step, &f->err), -EOPNOTSUPP);
	assert_non_null(strstr(f->err.text, "2025 no time"));
	assert_int_equal(shell(f, ROWS), 2);
}

/* What is recorded as built by a later clock keeps its rows. */
static void what_a_later_clock_has_built(void **state)
{
	struct fixture *f = *state;
	begin(f);
	shell(f, "INSERT INTO out VALUES (-1, '2030-01-01'), (-1, '2030-01-02'), (-1, '2030-01-03')");
	shell(f,
	      "INSERT INTO batchfs_state SELECT id, strftime('%s', '2030-01-02') * 1000000, 1, 0, 0, 0, 0, 1, '', 0 "
	      "FROM batchfs_model WHERE target_table = 'out'");
	struct store_request q = full(f, 1);
	assert_int_equal(send(f, &q), 0);
	struct clear_step step = {.id = q.id, .batches = q.batches};
	clear_all(f, &step);
	assert_int_equal(step.rows_outside, 1);
	assert_int_equal(shell(f, ROWS), 2);
}

/* A column may be called as SQLite calls the number of a row. */
static void a_column_named_rowid(void **state)
{
	struct fixture *f = *state;
	begin(f);
	for (size_t i = 0; i < 2; i++) {
		shell(f, i ? "ALTER TABLE out ADD COLUMN _rowid_ INTEGER DEFAULT 1"
			   : "ALTER TABLE out ADD COLUMN rowid INTEGER DEFAULT 1");
		shell(f, "INSERT INTO out (id, ts) VALUES (-1, '2020-01-01'), (-1, '2024-09-02')");
		struct store_request q = full(f, (unsigned char)(i + 1));
		assert_int_equal(send(f, &q), 0);
		struct clear_step step = {.id = q.id, .batches = q.batches};
		clear_all(f, &step);
		assert_int_equal(step.rows_outside, 1);
		assert_int_equal(shell(f, ROWS), i + 1);
		struct refresh_step over = {.id = q.id,
					    .from = REFRESH_CLEAR,
					    .to = REFRESH_OVER,
					    .result = REFRESH_CANCELLED,
					    .error = ""};
		assert_int_equal(take_step(f, over), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(from_phase_to_phase, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(refused, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(what_is_cleared, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(no_cancel_comes_between_the_look_and_the_commit, fixture_new,
						fixture_free),
		cmocka_unit_test_setup_teardown(what_is_no_time, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(what_a_later_clock_has_built, fixture_new, fixture_free),
		cmocka_unit_test_setup_teardown(a_column_named_rowid, fixture_new, fixture_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

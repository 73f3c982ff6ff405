/* SPDX-License-Identifier: Apache-2.0 */
/* Full refreshes on PostgreSQL: who may begin one, its phases, and the clearing, against a private server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

#define OPS  engine_postgres.store
#define ROWS "select count(*) from out.fct where v = 'x'"
#define GIVEN                                                                                                \
	"insert into out.fct values (null, 0, 'x'), ('2020-01-01+00', 0, 'x'), ('2031-01-01+00', 0, 'x')"

static struct store_request full(void)
{
	struct store_request q = {.kind = REQUEST_FULL,
				  .batches = {day(0), day(5)},
				  .expected = -1,
				  .uid = 5,
				  .command = "touch",
				  .reason = "why",
				  .at = BEGIN + 5};
	assert_int_equal(getrandom(q.uuid, sizeof q.uuid, 0), sizeof q.uuid);
	return q;
}

static int send(struct world *w, struct store_request *q, size_t n)
{
	struct error err = {0};
	assert_int_equal(OPS->request(w->store, q, n, NULL, &err), 0);
	return q->result;
}

static int take_step(struct world *w, int64_t id, enum refresh_phase from, enum refresh_phase to,
		     enum refresh_result result, const char *error)
{
	struct error err = {0};
	struct refresh_step step = {
		.id = id, .from = from, .to = to, .at = BEGIN + 9, .result = result, .error = error};
	int r = OPS->refresh(w->store, &step, &w->sink, &err);
	if (r)
		fail_msg("%s", err.text);
	return step.taken;
}

static int clear(struct world *w, struct clear_step *step)
{
	struct error err = {0};
	int r = engine_postgres.builder->clear(w->worker, step, &err);
	if (r && r != -ESTALE && r != -EBUSY)
		fail_msg("%s", err.text);
	return r;
}

static void from_phase_to_phase(void **state)
{
	struct world *w = *state;
	world_prepare(w, 0);
	struct store_request q = full(), again = full();
	assert_int_equal(send(w, &q, 1), 0);
	assert_int_equal(send(w, &again, 1), -EBUSY);
	assert_non_null(strstr(again.err.text, "uid 5 (touch)"));
	/* Sent again with the same uuid: counted once. */
	int64_t id = q.id;
	assert_int_equal(send(w, &q, 1), 0);
	assert_int_equal(q.id, id);
	assert_int_equal(take_step(w, id + 1, REFRESH_CLEAR, REFRESH_BUILD, REFRESH_NEVER, ""), -ESTALE);
	assert_int_equal(take_step(w, id, REFRESH_CLEAR, REFRESH_BUILD, REFRESH_NEVER, ""), 0);
	assert_int_equal(w->refresh.phase, REFRESH_BUILD);
	assert_int_equal(w->refresh.build_at, BEGIN + 9);
	assert_int_equal(w->last_request.id, id);
	assert_true(w->last_request.open);
	assert_int_equal(w->last_request.at, BEGIN + 9);
	assert_string_equal(w->reason, "why");
	assert_int_equal(take_step(w, id, REFRESH_CLEAR, REFRESH_BUILD, REFRESH_NEVER, ""), -ESTALE);
	/* By another mount, and after a restart. */
	world_close(w);
	w->n_refreshes = 0;
	world_open(w);
	assert_int_equal(w->n_refreshes, 1);
	assert_int_equal(w->refresh.phase, REFRESH_BUILD);
	assert_int_equal(w->refresh.batches.first, day(0));
	assert_int_equal(w->refresh.batches.end, day(5));
	assert_int_equal(take_step(w, id, REFRESH_BUILD, REFRESH_OVER, REFRESH_FAILED, "one failed"), 0);
	assert_int_equal(w->refresh.phase, REFRESH_OVER);
	assert_int_equal(w->refresh.result, REFRESH_FAILED);
	assert_int_equal(w->refresh.finished_at, BEGIN + 9);
	assert_string_equal(w->refresh.error, "one failed");
	/* How the last one ended stays while the next one is under way. */
	assert_int_equal(send(w, &again, 1), 0);
	assert_int_equal(take_step(w, again.id, REFRESH_CLEAR, REFRESH_BUILD, REFRESH_NEVER, ""), 0);
	assert_int_equal(w->refresh.result, REFRESH_FAILED);
}

static void all_of_a_touch_or_none(void **state)
{
	struct world *w = *state;
	world_prepare(w, 0);
	world_prepare(w, 1);
	struct store_request q[2] = {full(), full()};
	memcpy(q[1].uuid, q[0].uuid, sizeof q[0].uuid / 2);
	q[1].model = 1;
	sql("insert into batchfs.freeze select id, '2024-09-03+00', '2024-09-04+00', 7, 'chmod', now()"
	    " from batchfs.model where target_table = 'two'");
	assert_int_equal(send(w, q, 2), -EPERM);
	assert_int_equal(q[1].result, -EPERM);
	assert_non_null(strstr(q[0].err.text, "2024-09-03"));
	assert_string_equal(sql("select count(*) from batchfs.refresh"), "0");
	/* What protects a model comes first. */
	sql("insert into batchfs.freeze select id, null, null, 7, 'chmod', now() from batchfs.model");
	assert_int_equal(send(w, q, 2), -EPERM);
	assert_non_null(strstr(q[1].err.text, "is protected"));
	sql("delete from batchfs.freeze");
	assert_int_equal(send(w, q, 2), 0);
	assert_string_equal(sql("select count(*) from batchfs.refresh where phase = 'clear'"), "2");
}

static void what_is_cleared(void **state)
{
	struct world *w = *state;
	world_prepare(w, 0);
	sql(GIVEN);
	struct store_request q = full();
	assert_int_equal(send(w, &q, 1), 0);
	struct clear_step step = {.id = q.id, .batches = q.batches};
	int steps = 0;
	for (; !step.over; steps++)
		assert_int_equal(clear(w, &step), 0);
	assert_int_equal(steps, 4);
	assert_int_equal(step.rows_outside, 2);
	assert_int_equal(step.rows_without_event_time, 1);
	assert_string_equal(sql(ROWS), "0");
	assert_int_equal(take_step(w, q.id, REFRESH_CLEAR, REFRESH_OVER, REFRESH_CANCELLED, ""), 0);
	assert_int_equal(w->refresh.rows_outside, 2);
	/* It is over: nothing is deleted any more. */
	sql(GIVEN);
	struct clear_step late = {.id = q.id, .batches = q.batches};
	assert_int_equal(clear(w, &late), -ESTALE);
	assert_string_equal(sql(ROWS), "3");
}

/* What is recorded as built by a later clock keeps its rows. */
static void what_a_later_clock_has_built(void **state)
{
	struct world *w = *state;
	world_prepare(w, 0);
	sql("insert into out.fct values ('2030-01-01+00', 0, 'x'), ('2030-01-02+00', 0, 'x'), ('2030-01-03+00', 0, 'x')");
	sql("insert into batchfs.state (model, window_start, outcome, attempt, built)"
	    " select id, '2030-01-02+00', 1, 1, now() from batchfs.model");
	struct store_request q = full();
	assert_int_equal(send(w, &q, 1), 0);
	struct clear_step step = {.id = q.id, .batches = q.batches};
	while (!step.over)
		assert_int_equal(clear(w, &step), 0);
	assert_int_equal(step.rows_outside, 1);
	assert_string_equal(sql(ROWS), "2");
}

static void one_mount_clears(void **state)
{
	struct world *w = *state;
	world_prepare(w, 0);
	sql(GIVEN);
	struct world *other = world_another();
	struct store_request q = full();
	assert_int_equal(send(w, &q, 1), 0);
	struct clear_step mine = {.id = q.id, .batches = q.batches}, theirs = mine;
	assert_int_equal(clear(w, &mine), 0);
	assert_int_equal(mine.rows_outside, 1);
	assert_int_equal(clear(other, &theirs), -EBUSY);
	assert_string_equal(sql(ROWS), "2");
	/* It dies, and the other one goes on, with its counts. */
	world_close(w);
	while (!theirs.over)
		assert_int_equal(clear(other, &theirs), 0);
	assert_int_equal(theirs.rows_outside, 2);
	assert_int_equal(theirs.rows_without_event_time, 1);
	world_another_gone(other);
	world_open(w);
}

static int two_models(void **state)
{
	int r = world_fresh(state);
	struct world *w = *state;
	world_model(w, 1, "two", "select ts, k, v from \"src\".\"events\"", "events", "ts");
	if (r == 0)
		world_open(w);
	return r;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_WORLD_TEST(from_phase_to_phase),
		cmocka_unit_test_setup_teardown(all_of_a_touch_or_none, two_models, world_gone),
		OPEN_WORLD_TEST(what_is_cleared),
		OPEN_WORLD_TEST(what_a_later_clock_has_built),
		OPEN_WORLD_TEST(one_mount_clears),
	};
	return server_run(tests);
}

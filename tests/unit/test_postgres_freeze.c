/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing, against a private server; and races of freezes with claims and builds. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include "backend/batch_state.h"
#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

static int change(struct world *w, enum request_kind kind, int first, int end, uint32_t uid,
		  struct error *err)
{
	struct store_request q = {.kind = kind,
				  .batches = {day(first), day(end)},
				  .expected = -1,
				  .uid = uid,
				  .command = "chmod",
				  .at = BEGIN + uid};
	if (getrandom(q.uuid, sizeof q.uuid, 0) != sizeof q.uuid)
		return -EIO;
	int r = engine_postgres.store->request(w->store, &q, 1, NULL, err);
	if (r == 0 && q.result && err)
		*err = q.err;
	return r ? r : q.result;
}

static uint32_t frozen_by(const struct world *w, int n)
{
	for (size_t i = 0; i < w->n_freezes; i++) {
		const struct store_freeze *z = &w->freezes[i];
		if (day(n) < z->batches.first || day(n) >= z->batches.end)
			continue;
		assert_string_equal(z->command, "chmod");
		assert_int_equal(z->at, BEGIN + z->uid);
		return z->uid;
	}
	return 0;
}

static void load_again(struct world *w)
{
	world_close(w);
	w->n_freezes = 0;
	world_open(w);
}

static void frozen_is_not_granted(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	struct error err;
	world_prepare(w, 0);
	assert_int_equal(change(w, REQUEST_FREEZE, 1, 2, 5, &err), 0);
	assert_int_equal(claim_days(w, 0, 0, 3, &c), 2);
	assert_int_equal(c.attempt[1], 0);
	/* What this mount has claimed and not given back runs. */
	assert_int_equal(change(w, REQUEST_FREEZE, 0, 4, 5, &err), -EBUSY);
	assert_string_equal(err.text, "fct/2024-09-01 is running, or just about to: nothing was frozen; "
				      "rm 2024-09-01 cancels it, sync 2024-09-01 waits for it");
	assert_string_equal(sql("select count(*) from batchfs.freeze"), "1");
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(change(w, REQUEST_FREEZE, 0, 4, 6, &err), 0);
	load_again(w);
	assert_int_equal(frozen_by(w, 0), 6);
	assert_int_equal(frozen_by(w, 1), 5);
	assert_int_equal(frozen_by(w, 3), 6);
	assert_int_equal(frozen_by(w, 4), 0);
	assert_int_equal(claim_days(w, 0, 0, 4, &c), 0);
	assert_int_equal(change(w, REQUEST_THAW, 1, 3, 5, &err), 0);
	assert_int_equal(claim_days(w, 0, 0, 4, &c), 2);
	assert_int_equal(c.attempt[0], 0);
	assert_int_equal(c.attempt[3], 0);
}

/* Also what an interrupted mount has put back is not built over a freeze. */
static void what_was_put_back(void **state)
{
	struct world *w = *state;
	struct store_claim c;
	struct error err;
	assert_int_equal(claim_days(w, 0, 0, 1, &c), 1);
	assert_int_equal(settle_day(w, 0, 0, c.attempt[0], SETTLE_INTERRUPTED), 0);
	assert_int_equal(change(w, REQUEST_FREEZE, 0, 1, 5, &err), 0);
	uint32_t late = c.attempt[0];
	assert_int_equal(claim_days(w, 0, 0, 1, &c), 0);
	/* Nor what its worker begins with the attempt that was taken from it. */
	c.attempt[0] = late;
	world_prepare(w, 0);
	assert_int_equal(build_claim(w, &c), 0);
	assert_int_equal(w->outcomes[0], BUILD_STALE);
	assert_string_equal(sql("select count(*) from out.fct"), "0");
}

static void asked_for_by_its_name(void **state)
{
	struct world *w = *state;
	struct error err;
	assert_int_equal(change(w, REQUEST_FREEZE, 1, 2, 5, &err), 0);
	for (int named = 0; named < 2; named++) {
		struct store_request q = {.batches = {day(1), day(2)},
					  .expected = BATCH_PENDING,
					  .named = named,
					  .command = "touch",
					  .uuid = {(unsigned char)named + 1},
					  .at = BEGIN};
		assert_int_equal(engine_postgres.store->request(w->store, &q, 1, NULL, &err), 0);
		assert_int_equal(q.result, named ? -EPERM : 0);
		if (named)
			assert_string_equal(q.err.text,
					    "fct/2024-09-02 was frozen by uid 5 (chmod) at "
					    "2024-09-01T00:00:00.000005Z: chmod u+w 2024-09-02 thaws it");
	}
	assert_string_equal(sql("select count(*) from batchfs.request where open"), "1");
}

static void others_see_it(void **state)
{
	struct world *w = *state;
	struct world *other = world_another();
	struct error err = {0};
	assert_int_equal(change(w, REQUEST_FREEZE, 1, 4, 5, &err), 0);
	for (int i = 0; i < 100 && frozen_by(other, 1) != 5; i++)
		assert_int_equal(engine_postgres.store->follow(other->store, 100, &other->sink, &err), 0);
	assert_int_equal(frozen_by(other, 3), 5);
	assert_int_equal(change(w, REQUEST_PROTECT, 0, 0, 6, &err), 0);
	assert_int_equal(change(w, REQUEST_THAW, 2, 3, 5, &err), 0);
	for (int i = 0; i < 100 && other->n_freezes != 3; i++)
		assert_int_equal(engine_postgres.store->follow(other->store, 100, &other->sink, &err), 0);
	assert_int_equal(frozen_by(other, 1), 5);
	assert_int_equal(frozen_by(other, 2), 0);
	assert_int_equal(frozen_by(other, 3), 5);
	assert_int_equal(change(other, REQUEST_THAW, 0, 9, 7, &err), 0);
	assert_int_equal(change(other, REQUEST_UNPROTECT, 0, 0, 7, &err), 0);
	w->n_freezes = 9;
	for (int i = 0; i < 100 && w->n_freezes; i++)
		assert_int_equal(engine_postgres.store->follow(w->store, 100, &w->sink, &err), 0);
	assert_int_equal(w->n_freezes, 0);
	/* A freeze is no request that names who asked for a batch. */
	assert_int_equal(w->n_requests + other->n_requests, 0);
	world_another_gone(other);
}

/* Another mount has claimed three days, and begun the first. */
static void what_another_mount_has_not_begun_gives_way(void **state)
{
	struct world *w = *state;
	struct world *other = calloc(1, sizeof *other);
	struct store_claim c;
	struct error err = {0};
	world_init(other);
	world_open(other);
	world_prepare(other, 0);
	assert_int_equal(claim_days(other, 0, 0, 3, &c), 3);
	sql("begin");
	sql("update batchfs.state set sqlstate = '' where window_start = '2024-09-01 00:00+00'");
	assert_int_equal(change(w, REQUEST_FREEZE, 0, 3, 5, &err), -EBUSY);
	assert_non_null(strstr(err.text, "fct/2024-09-01 is running"));
	assert_int_equal(settle_day(other, 0, 2, c.attempt[2], SETTLE_FAILED), 0);
	assert_int_equal(change(w, REQUEST_FREEZE, 1, 3, 5, &err), 0);
	sql("commit");
	while (!state_of(w, 0, 1)->cancelled || !state_of(other, 0, 1)->cancelled) {
		assert_int_equal(engine_postgres.store->follow(w->store, 10, &w->sink, &err), 0);
		assert_int_equal(engine_postgres.store->follow(other->store, 10, &other->sink, &err), 0);
	}
	assert_int_equal(state_of(w, 0, 1)->s.run, ROW_IDLE);
	assert_int_equal(state_of(w, 0, 1)->s.outcome, OUTCOME_NONE);
	assert_int_equal(state_of(w, 0, 2)->s.outcome, OUTCOME_FAILED);
	assert_int_equal(settle_day(other, 0, 1, c.attempt[1], SETTLE_UNSTARTED), -ESTALE);
	assert_int_equal(build_claim(other, &c), 0);
	assert_int_equal(other->outcomes[0], BUILD_DONE);
	assert_int_equal(other->outcomes[1], BUILD_STALE);
	assert_int_equal(other->outcomes[2], BUILD_STALE);
	assert_string_equal(sql("select count(*) from out.fct"), "10");
	world_close(other);
	free(other);
}

/* Against an array with who froze each day. */
static void any_order(void **state)
{
	struct world *w = *state;
	uint32_t truth[BATCHES] = {0};
	struct error err;
	unsigned seed = 1;
	for (uint32_t step = 1; step <= 300; step++) {
		int from = rand_r(&seed) % BATCHES;
		int to = from + 1 + rand_r(&seed) % (BATCHES - from);
		bool thaw = rand_r(&seed) % 2;
		assert_int_equal(change(w, thaw ? REQUEST_THAW : REQUEST_FREEZE, from, to, step, &err), 0);
		for (int d = from; d < to; d++)
			truth[d] = thaw ? 0 : truth[d] ? truth[d] : step;
		if (step % 10)
			continue;
		load_again(w);
		for (int d = 0; d < BATCHES; d++)
			if (frozen_by(w, d) != truth[d])
				fail_msg("step %u, day %d: %u, not %u", step, d, frozen_by(w, d), truth[d]);
	}
}

#define RACES 1500
#define DAYS  4

/* Another mount that builds what it gets. */
struct builder {
	struct world w;
	pthread_t thread;
	unsigned seed;
	bool stop; /* atomic */
	unsigned granted, refused;
	struct error err;
};

static int build_one(struct builder *b)
{
	int first = rand_r(&b->seed) % DAYS, count = 1 + rand_r(&b->seed) % (DAYS - first);
	struct store_claim c = {.first = day(first),
				.count = (uint32_t)count,
				.request = 1,
				.wanted = INT64_MAX,
				.started = clock_now_us(&b->w.clock)};
	int r = engine_postgres.store->claim(b->w.store, &c, 1, &b->err);
	for (int i = 0; r == 0 && i < count; i++) {
		struct store_outcome o = {.kind = SETTLE_CANCELLED,
					  .batch = c.first + (ordinal)i,
					  .attempt = c.attempt[i],
					  .started = c.started,
					  .finished = c.started,
					  .sqlstate = "",
					  .message = ""};
		b->granted += c.attempt[i] != 0;
		b->refused += c.attempt[i] == 0;
		/* Some are built, the others only had for a moment. */
		if (c.attempt[i] && rand_r(&b->seed) % 4) {
			r = engine_postgres.store->settle(b->w.store, &o, 1, &b->err);
			c.attempt[i] = 0;
		}
	}
	return r ? r : build_claim(&b->w, &c);
}

static void *builder_main(void *arg)
{
	struct builder *b = arg;
	while (!__atomic_load_n(&b->stop, __ATOMIC_ACQUIRE))
		if (build_one(b)) {
			fprintf(stderr, "%s\n", b->err.text);
			break;
		}
	return NULL;
}

/* Everything that a build changes. */
static char *states_of(int first, int end)
{
	return strdup(sql(
		"select count(*) filter (where run = 1) || ' run:' || coalesce(string_agg(concat_ws("
		"' ', window_start, run, attempt, outcome, finished, served), ', ' order by window_start), "
		"'') from batchfs.state where attempt > 0 and window_start >= timestamptz '2024-09-01 "
		"00:00+00' + %d * "
		"interval '1 day' and window_start < timestamptz '2024-09-01 00:00+00' + %d * interval "
		"'1 day'",
		first, end));
}

static void nothing_is_built_over_a_freeze(void **state)
{
	struct world *w = *state;
	struct builder *b = calloc(2, sizeof *b);
	unsigned seed = 3, frozen = 0, busy = 0;
	struct error err = {0};
	for (int i = 0; i < 2; i++) {
		world_init(&b[i].w);
		world_open(&b[i].w);
		world_prepare(&b[i].w, 0);
		b[i].seed = (unsigned)i + 10;
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&b[i].thread, NULL, builder_main, &b[i]), 0);
	bool held = true;
	for (int i = 0; i < RACES && held; i++) {
		int first = rand_r(&seed) % DAYS, end = first + 1 + rand_r(&seed) % (DAYS - first);
		int r = change(w, REQUEST_FREEZE, first, end, 5, &err);
		busy += r == -EBUSY;
		frozen += r == 0;
		held = r == 0 || r == -EBUSY;
		if (r)
			continue;
		char *before = states_of(first, end);
		if (i % 4 == 0) /* a part of it again, and another part no longer, while they try */
			held &= change(w, REQUEST_FREEZE, first, first + 1, 6, &err) == 0 &&
				change(w, REQUEST_THAW, end, end + 1, 6, &err) == 0;
		char *after = states_of(first, end);
		held &= strncmp(before, "0 run:", 6) == 0 && strcmp(before, after) == 0;
		if (!held)
			fprintf(stderr, "race %d: %s\nthen %s\n%s\n", i, before, after, err.text);
		free(before);
		free(after);
		held &= change(w, REQUEST_THAW, first, end, 5, &err) == 0;
	}
	for (int i = 0; i < 2; i++) {
		__atomic_store_n(&b[i].stop, true, __ATOMIC_RELEASE);
		pthread_join(b[i].thread, NULL);
		assert_int_equal(b[i].err.err, 0);
	}
	assert_true(held);
	print_message("%u frozen, %u busy; %u and %u granted, %u and %u not\n", frozen, busy, b[0].granted,
		      b[1].granted, b[0].refused, b[1].refused);
	assert_true(frozen && busy && b[0].granted && b[1].granted && b[0].refused && b[1].refused);
	for (int i = 0; i < 2; i++)
		world_close(&b[i].w);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPEN_WORLD_TEST(frozen_is_not_granted),
		OPEN_WORLD_TEST(what_was_put_back),
		OPEN_WORLD_TEST(asked_for_by_its_name),
		OPEN_WORLD_TEST(others_see_it),
		OPEN_WORLD_TEST(what_another_mount_has_not_begun_gives_way),
		OPEN_WORLD_TEST(any_order),
		OPEN_WORLD_TEST(nothing_is_built_over_a_freeze),
	};
	return server_run(tests);
}

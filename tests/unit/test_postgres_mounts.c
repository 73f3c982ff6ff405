/* SPDX-License-Identifier: Apache-2.0 */
/* Two mounts on one private server: whose code, cancels, what a dead one leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

#include "tests/unit/postgres_fixture.h"
#include "tests/unit/postgres_world.h"

struct pair {
	struct world *a, *b;
};

static struct world *make(const char *code)
{
	struct world *w = calloc(1, sizeof *w);
	world_init(w);
	strcpy(w->models[0].code, code);
	world_open(w);
	return w;
}

static int fresh(void **state)
{
	struct pair *p = calloc(1, sizeof *p);
	server_database();
	world_source();
	p->a = make("aaaa");
	p->b = make("bbbb");
	world_prepare(p->a, 0);
	world_prepare(p->b, 0);
	*state = p;
	return 0;
}

static int gone(void **state)
{
	struct pair *p = *state;
	world_close(p->a);
	world_close(p->b);
	free(p->a);
	free(p->b);
	free(p);
	return 0;
}

/* The pieces go to `pieces`, "0-1,3-5", where that is not NULL. */
static int64_t cancel_known(struct world *w, int first, int end, struct store_known known, char *pieces)
{
	struct store_request q = {.kind = REQUEST_CANCEL,
				  .batches = {day(first), day(end)},
				  .expected = -1,
				  .command = "rm",
				  .at = 1,
				  .known = known};
	struct error err = {0};
	assert_int_equal(getrandom(q.uuid, sizeof q.uuid, 0), sizeof q.uuid);
	for (int times = 0; times < 2; times++) {
		free(q.pieces);
		q.pieces = NULL;
		q.n_pieces = 0;
		/* Sent again it is the same one. */
		if (engine_postgres.store->request(w->store, &q, 1, NULL, &err))
			fail_msg("%s", err.text);
		assert_int_equal(q.result, 0);
	}
	for (size_t i = 0; pieces && i < q.n_pieces; i++)
		pieces += sprintf(pieces, "%s%u-%u", i ? "," : "", q.pieces[i].first - day(0),
				  q.pieces[i].end - day(0));
	free(q.pieces);
	return q.seq;
}

/* By who knows all that others have asked for. */
static int64_t cancel_days(struct world *w, int first, int end)
{
	return cancel_known(w, first, end, (struct store_known){INT64_MAX, INT64_MAX, INT64_MAX}, NULL);
}

static int64_t ask(struct world *w, int first, int end)
{
	int64_t seq;
	assert_int_equal(request_days(w, 0, first, end, -1, 0, &seq), 0);
	return seq;
}

/* The attempt, 0: not granted. */
static uint32_t claim(struct world *w, int n, int64_t wanted, struct store_claim *c)
{
	struct error err = {0};
	*c = (struct store_claim){
		.first = day(n), .count = 1, .request = wanted, .wanted = wanted, .started = 1};
	if (engine_postgres.store->claim(w->store, c, 1, &err))
		fail_msg("%s", err.text);
	return c->attempt[0];
}

static int settle(struct world *w, int n, enum settle_kind kind, uint32_t attempt, int64_t wanted,
		  int64_t before)
{
	struct error err = {0};
	struct store_outcome o = {.kind = kind,
				  .batch = day(n),
				  .attempt = attempt,
				  .wanted = wanted,
				  .before = before,
				  .started = 1,
				  .finished = 2,
				  .sqlstate = "",
				  .message = ""};
	if (engine_postgres.store->settle(w->store, &o, 1, &err))
		fail_msg("%s", err.text);
	return o.result;
}

static void follow(struct world *w)
{
	struct error err = {0};
	if (engine_postgres.store->follow(w->store, 100, &w->sink, &err))
		fail_msg("%s", err.text);
}

static const char *row(int n)
{
	return sql("select run || ',' || attempt || ',' || served from batchfs.state where window_start = "
		   "timestamptz '2024-09-01 00:00+00' + %d * interval '1 day'",
		   n);
}

static void the_newest_request_says_whose_code(void **state)
{
	struct pair *p = *state;
	struct store_claim c;
	int64_t of_a = ask(p->a, 0, 2), of_b = ask(p->b, 0, 1);
	/* B's is newer, whether A knows of it or not; where only A's is, B's does not matter. */
	assert_int_equal(claim(p->a, 0, of_a, &c), 0);
	assert_int_equal(claim(p->a, 1, of_a, &c), 1);
	assert_int_equal(c.served, of_b);
	assert_int_equal(claim(p->b, 0, of_b, &c), 1);
	assert_int_equal(c.served, of_b);
	assert_int_equal(build_claim(p->b, &c), 0);
	assert_int_equal(p->b->outcomes[0], BUILD_DONE);
	/* The older one for other code is answered by it. */
	assert_int_equal(claim(p->a, 0, of_a, &c), 0);
	of_a = ask(p->a, 0, 1);
	assert_int_equal(claim(p->b, 0, of_b, &c), 0);
	assert_int_equal(claim(p->a, 0, of_a, &c), 2);
}

static void what_was_put_back_keeps_its_code(void **state)
{
	struct pair *p = *state;
	struct store_claim c;
	int64_t of_b = ask(p->b, 0, 1);
	assert_int_equal(claim(p->b, 0, of_b, &c), 1);
	assert_int_equal(settle(p->b, 0, SETTLE_UNSTARTED, 1, 0, 0), 0);
	assert_int_equal(claim(p->a, 0, 0, &c), 0);
	/* Until somebody asks for it with another one. */
	int64_t of_a = ask(p->a, 0, 1);
	assert_int_equal(claim(p->b, 0, 0, &c), 0);
	assert_int_equal(claim(p->a, 0, of_a, &c), 2);
}

static void a_cancel_is_told_to_others(void **state)
{
	struct pair *p = *state;
	struct store_claim c;
	int64_t seq = ask(p->a, 0, 3);
	assert_int_equal(claim(p->a, 0, seq, &c), 1);
	int64_t cancel = cancel_days(p->b, 0, 2);
	assert_true(cancel > seq);
	while (p->a->last_request.kind != REQUEST_CANCEL)
		follow(p->a);
	assert_int_equal(p->a->last_request.seq, cancel);
	assert_int_equal(p->a->last_request.batches.end, day(2));
	/* What it covers is claimed by nobody, what is asked for after it is. */
	assert_int_equal(claim(p->a, 1, seq, &c), 0);
	assert_int_equal(claim(p->a, 2, seq, &c), 1);
	seq = ask(p->a, 1, 2);
	assert_int_equal(claim(p->a, 1, seq, &c), 1);
	assert_string_equal(sql("select count(*) from batchfs.request where open and kind = 'cancel'"), "1");
	assert_int_equal(settle(p->a, 0, SETTLE_CANCELLED, 1, cancel, 0), 0);
	while (!state_of(p->b, 0, 0)->known || !state_of(p->b, 0, 0)->cancelled) {
		follow(p->a);
		follow(p->b);
	}
	assert_int_equal(state_of(p->b, 0, 0)->s.run, ROW_IDLE);
	assert_int_equal(state_of(p->b, 0, 0)->s.served, cancel);
}

/* Put back in the moment of the cancel, or by who found its owner dead. */
static void what_is_put_back_after_its_cancel_is_withdrawn(void **state)
{
	struct pair *p = *state;
	struct store_claim c;
	int64_t seq = ask(p->a, 0, 2);
	assert_int_equal(claim(p->a, 0, seq, &c), 1);
	int64_t cancel = cancel_days(p->b, 0, 1);
	assert_int_equal(settle(p->a, 0, SETTLE_UNSTARTED, 1, 0, 0), 0);
	assert_int_equal(claim(p->a, 0, 0, &c), 0);
	while (strncmp(row(0), "0,", 2) != 0)
		follow(p->b);
	assert_true(state_of(p->b, 0, 0)->cancelled);
	assert_int_equal(state_of(p->b, 0, 0)->s.served, cancel);
	assert_string_equal(
		sql("select string_agg(outcome, ',' order by xid::text::bigint) from batchfs.attempt"),
		"started,requeued,cancelled");
	/* As long as the request it covers is open, so is the cancel. */
	follow(p->b);
	assert_string_equal(sql("select count(*) from batchfs.request where open and kind = 'cancel'"), "1");
	sql("update batchfs.request set open = false where kind = 'build'");
	while (strcmp(sql("select count(*) from batchfs.request where open"), "0") != 0)
		follow(p->b);
	/* Claimed after a cancel, put back: that cancel is not meant for it. */
	seq = ask(p->a, 0, 1);
	assert_int_equal(claim(p->a, 0, seq, &c), 2);
	assert_int_equal(settle(p->a, 0, SETTLE_UNSTARTED, 2, 0, 0), 0);
	assert_int_equal(settle(p->b, 0, SETTLE_CANCELLED, 0, 0, cancel), -ESTALE);
	assert_int_equal(claim(p->a, 0, 0, &c), 3);
}

/* It ended well, but had been asked for once more before the cancel: nothing of that is left. */
static void what_was_asked_for_again_before_the_cancel_is_withdrawn(void **state)
{
	struct pair *p = *state;
	struct store_claim c, none;
	assert_int_equal(claim(p->a, 0, ask(p->a, 0, 1), &c), 1);
	int64_t again = ask(p->a, 0, 1), cancel = cancel_days(p->b, 0, 1);
	assert_int_equal(build_claim(p->a, &c), 0);
	assert_int_equal(p->a->outcomes[0], BUILD_DONE);
	assert_int_equal(claim(p->a, 0, again, &none), 0);
	while (!state_of(p->b, 0, 0)->cancelled)
		follow(p->b);
	assert_int_equal(state_of(p->b, 0, 0)->s.outcome, OUTCOME_DONE);
	assert_int_equal(state_of(p->b, 0, 0)->s.served, cancel);
	assert_int_equal(claim(p->a, 0, ask(p->a, 0, 1), &c), 2);
}

/* Others had asked for it before it was recorded, and whoever cancelled did not know of that. */
static void a_cancel_spares_what_its_mount_did_not_know(void **state)
{
	struct pair *p = *state;
	struct store_claim c;
	char pieces[64] = "";
	int64_t all = ask(p->a, 0, 8);
	while (p->b->known.seq < all)
		follow(p->b);
	struct store_known known = {p->b->known.seq, p->b->known.id, INT64_MAX};
	int64_t later = ask(p->a, 1, 2), own = ask(p->b, 3, 4);
	ask(p->a, 5, 6);
	int64_t running = ask(p->a, 6, 7);
	assert_int_equal(claim(p->a, 6, running, &c), 1);
	sql("update batchfs.request set open = false where first_start = '2024-09-07'");
	int64_t cancel = cancel_known(p->b, 0, 7, known, pieces);
	assert_string_equal(pieces, "0-1,2-5");
	/* What is spared is claimed by anybody, the rest by nobody. */
	assert_int_equal(claim(p->a, 0, all, &c), 0);
	assert_int_equal(claim(p->a, 1, later, &c), 1);
	assert_int_equal(claim(p->b, 3, own, &c), 0);
	/* Only the pieces are told to others, and nothing to who has cancelled. */
	while (p->a->last_request.kind != REQUEST_CANCEL)
		follow(p->a);
	assert_int_equal(p->a->last_request.seq, cancel);
	assert_int_equal(p->a->last_request.batches.end, day(5));
	p->b->last_request.kind = REQUEST_BUILD;
	while (p->b->known.seq < running)
		follow(p->b);
	assert_int_equal(p->b->last_request.kind, REQUEST_BUILD);
	/* That of a full refresh spares also what its own mount had on its way. */
	own = ask(p->b, 2, 3);
	known = (struct store_known){p->b->known.seq, p->b->known.id, own - 1};
	memset(pieces, 0, sizeof pieces);
	cancel_known(p->b, 0, 4, known, pieces);
	assert_string_equal(pieces, "0-2,3-4");
	/* All of it. */
	known.seq = known.own = 0;
	known.id = 0;
	memset(pieces, 0, sizeof pieces);
	cancel_known(p->b, 0, 4, known, pieces);
	assert_string_equal(pieces, "");
	assert_int_equal(claim(p->b, 2, own, &c), 1);
}

/* Another mount cancels what was only queued: nothing is claimed, the rest of the range is not touched. */
static void cancelled_by_another_mount_in_the_queue(void **state)
{
	struct pair *p = *state;
	struct store_claim c;
	int64_t seq = ask(p->a, 0, 3);
	int64_t cancel = cancel_days(p->b, 1, 2);
	assert_int_equal(settle(p->b, 1, SETTLE_CANCELLED, 0, seq, cancel), 0);
	assert_int_equal(settle(p->a, 1, SETTLE_CANCELLED, 0, seq, cancel), -ESTALE);
	assert_int_equal(claim(p->a, 1, seq, &c), 0);
	assert_int_equal(claim(p->a, 0, seq, &c), 1);
	assert_string_equal(sql("select count(*) from batchfs.attempt where outcome = 'cancelled'"), "1");
}

struct whim {
	int day, calls, from; /* not wanted from the from-th call on */
};

static bool whim(void *ctx, ordinal batch)
{
	struct whim *w = ctx;
	return batch != day(w->day) || ++w->calls < w->from;
}

static void build_with(struct world *w, const struct store_claim *c, struct whim *unwanted)
{
	struct error err = {0};
	struct build_run run = {.model = c->model,
				.first = c->first,
				.count = c->count,
				.request = c->request,
				.wanted = whim,
				.wanted_ctx = unwanted};
	memcpy(run.attempt, c->attempt, sizeof run.attempt);
	assert_int_equal(world_build(w, &run, &err), 0);
}

static void what_is_not_wanted_is_not_sent(void **state)
{
	struct world *w = ((struct pair *)*state)->a;
	struct store_claim c;
	struct whim unwanted = {.day = 1, .from = 1};
	assert_int_equal(claim_days(w, 0, 0, 3, &c), 3);
	build_with(w, &c, &unwanted);
	assert_int_equal(w->outcomes[0], BUILD_DONE);
	assert_int_equal(w->outcomes[1], BUILD_UNSTARTED);
	assert_int_equal(w->outcomes[2], BUILD_DONE);
	assert_int_equal(unwanted.calls, 1);
	assert_string_equal(sql("select count(*) from out.fct"), "20");
}

/* Its rows are in, behind the end of the batch before: they go again. */
static void what_was_sent_is_rolled_back(void **state)
{
	struct world *w = ((struct pair *)*state)->a;
	struct store_claim c;
	for (int n = 1; n < 4; n += 2) {
		struct whim unwanted = {.day = n, .from = 2};
		assert_int_equal(claim_days(w, 0, n - 1, n == 1 ? 3 : 2, &c), n == 1 ? 3 : 2);
		build_with(w, &c, &unwanted);
		assert_int_equal(w->outcomes[n - 1], BUILD_DONE);
		assert_int_equal(w->outcomes[n], BUILD_INTERRUPTED);
		assert_int_equal(unwanted.calls, 2);
		if (n == 1)
			assert_int_equal(w->outcomes[2], BUILD_UNSTARTED);
		assert_int_equal(settle(w, n, SETTLE_CANCELLED, c.attempt[1], INT64_MAX - 1, 0), 0);
		if (n == 1)
			assert_int_equal(settle(w, 2, SETTLE_UNSTARTED, c.attempt[2], 0, 0), 0);
	}
	assert_string_equal(sql("select string_agg(distinct ts::date::text, ',') from out.fct"),
			    "2024-09-01,2024-09-03");
}

static void a_claim_answers_what_its_mount_does_not_know_yet(void **state)
{
	struct pair *p = *state;
	struct store_claim c;
	strcpy(p->b->models[0].code, "aaaa");
	int64_t known = ask(p->a, 1, 2);
	int64_t unknown = ask(p->a, 1, 2);
	assert_int_equal(claim(p->b, 1, known, &c), 1);
	assert_int_equal(c.served, unknown);
	assert_int_equal(build_claim(p->b, &c), 0);
	for (int i = 0; i < 100 && !p->b->answered; i++)
		follow(p->b);
	assert_int_equal(p->b->answered, unknown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_claim_answers_what_its_mount_does_not_know_yet, fresh,
						gone),
		cmocka_unit_test_setup_teardown(the_newest_request_says_whose_code, fresh, gone),
		cmocka_unit_test_setup_teardown(what_was_put_back_keeps_its_code, fresh, gone),
		cmocka_unit_test_setup_teardown(a_cancel_is_told_to_others, fresh, gone),
		cmocka_unit_test_setup_teardown(what_is_put_back_after_its_cancel_is_withdrawn, fresh, gone),
		cmocka_unit_test_setup_teardown(what_was_asked_for_again_before_the_cancel_is_withdrawn,
						fresh, gone),
		cmocka_unit_test_setup_teardown(a_cancel_spares_what_its_mount_did_not_know, fresh, gone),
		cmocka_unit_test_setup_teardown(cancelled_by_another_mount_in_the_queue, fresh, gone),
		cmocka_unit_test_setup_teardown(what_is_not_wanted_is_not_sent, fresh, gone),
		cmocka_unit_test_setup_teardown(what_was_sent_is_rolled_back, fresh, gone),
	};
	return server_run(tests);
}

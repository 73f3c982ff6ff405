/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for, skipped, cancelled and frozen, over the SQLite engine behind the layer of faults. */
#include "tests/unit/behind_fixture.h"

/* Every batch fails for its own rows. None was built: a claim is for one batch as long as nobody knows how
 * long they take. */
static void refuse_rows(struct behind *x)
{
	sql(x->f, "CREATE TABLE m AS SELECT * FROM raw WHERE false;"
		  "CREATE TRIGGER full BEFORE INSERT ON m BEGIN SELECT RAISE(ABORT, 'it is full'); END");
}

/* The tenth equal failure skips the other thirty, in one row, which goes when they have been built. */
static void skipped_as_one_range(void **state)
{
	struct behind *x = *state;
	refuse_rows(x);
	faults(x, "settle:error=EHOSTUNREACH*2");
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	settle(x->f, 0, DAYS);
	for (int round = 0; round < 2; round++) {
		all_are(x, 0, 10, BATCH_FAILED);
		all_are(x, 10, DAYS, BATCH_SKIPPED);
		assert_int_equal(verdict(x->f, 10, DAYS), -EIO);
		auto_strbuf out = STRBUF_INIT;
		assert_int_equal(backend_batch_document(x->f->b, 0, x->f->first + 39, &out), 0);
		assert_non_null(strstr(out.str, "the same error 10 times in a row, last in m/2024-01-10"));
		assert_non_null(strstr(out.str, "\"command\": \"test_schedule\""));
		assert_int_equal(queue(x, "SELECT count(*) FROM answer"), 1);
		assert_int_equal(queue(x, "SELECT count(*) FROM state WHERE outcome = 3"), 0);
		open_again(x);
	}
	sql(x->f, "DROP TRIGGER full");
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	settle(x->f, 0, DAYS);
	all_are(x, 0, DAYS, BATCH_DONE);
	wait_for(x, "SELECT count(*) FROM answer", 0);
	open_again(x);
	all_are(x, 0, DAYS, BATCH_DONE);
}

#define LINES                                                                                                \
	"SELECT coalesce(sum((coalesce(last, start) - start) / 86400000000 + 1), 0) FROM attempt WHERE outcome = 'cancelled'"

/* What only waits is what it was as soon as rm returns, whatever the warehouse is busy with. */
static void cancelled_at_once_as_one_range(void **state)
{
	struct behind *x = *state;
	assert_int_equal(ask_and_wait(x->f, 0, 2, -1), 0);
	settle(x->f, 0, 2);
	faults(x, "claim:error=EHOSTUNREACH");
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	all_are(x, 0, DAYS, BATCH_QUEUED);
	assert_int_equal(cancel(x, 0, DAYS), 0);
	all_are(x, 0, 2, BATCH_DONE);
	all_are(x, 2, DAYS, BATCH_PENDING);
	assert_int_equal(cancel(x, 0, DAYS), -EPERM);
	wait_for(x, LINES, DAYS);
	/* The first two have been tried once. */
	assert_int_equal(queue(x, "SELECT count(*) FROM attempt WHERE outcome = 'cancelled'"), 2);
	pthread_mutex_lock(&x->f->lock);
	while (x->f->last_cancelled.end != x->f->first + DAYS)
		pthread_cond_wait(&x->f->news, &x->f->lock);
	pthread_mutex_unlock(&x->f->lock);
	faults(x, "");
	open_again(x);
	settle(x->f, 0, DAYS);
	all_are(x, 0, 2, BATCH_DONE);
	all_are(x, 2, DAYS, BATCH_PENDING);
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	settle(x->f, 0, DAYS);
	all_are(x, 0, DAYS, BATCH_DONE);
}

/* While the claim of some of them is on its way: each is cancelled once. */
static void cancelled_while_a_claim_is_on_its_way(void **state)
{
	struct behind *x = *state;
	assert_int_equal(ask_and_wait(x->f, 0, 2, -1), 0);
	settle(x->f, 0, 2);
	faults(x, "claim:hold");
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	assert_int_equal(cancel(x, 0, DAYS), 0);
	all_are(x, 2, DAYS, BATCH_PENDING);
	faults(x, "");
	wait_for(x, LINES, DAYS);
	settle(x->f, 0, DAYS);
	all_are(x, 0, 2, BATCH_DONE);
	all_are(x, 2, DAYS, BATCH_PENDING);
	open_again(x);
	settle(x->f, 0, DAYS);
	all_are(x, 2, DAYS, BATCH_PENDING);
}

/* The warehouse is away: what was taken out of the queue here stays out of it. */
static void a_cancel_that_is_not_recorded(void **state)
{
	struct behind *x = *state;
	faults(x, "claim:error=EHOSTUNREACH");
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	faults(x, "claim:error=EHOSTUNREACH;request:error=EHOSTUNREACH");
	assert_int_equal(cancel(x, 0, DAYS), 0);
	all_are(x, 0, DAYS, BATCH_PENDING);
	wait_for(x, "SELECT count(*) FROM answer WHERE NOT skipped", 1);
	faults(x, "");
	open_again(x);
	settle(x->f, 0, DAYS);
	all_are(x, 0, DAYS, BATCH_PENDING);
}

/* What is answered is recorded, also while the control thread only pauses. */
static void frozen_when_its_cancels_are_recorded(void **state)
{
	struct behind *x = *state;
	faults(x, "claim:error=EHOSTUNREACH");
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	faults(x, "claim:error=EHOSTUNREACH;follow:error=EHOSTUNREACH");
	assert_int_equal(freeze(x, 0, 5), 0);
	assert_int_equal(queue(x, LINES), 5);
	all_are(x, 0, 5, BATCH_PENDING);
	faults(x, "claim:error=EHOSTUNREACH;settle:error=EHOSTUNREACH*3");
	assert_int_equal(freeze(x, 10, 20), 0);
	assert_int_equal(queue(x, LINES), 15);
	all_are(x, 10, 20, BATCH_PENDING);
	faults(x, "");
	settle(x->f, 0, DAYS);
	all_are(x, 0, 5, BATCH_PENDING);
	all_are(x, 5, 10, BATCH_DONE);
	all_are(x, 20, DAYS, BATCH_DONE);
}

/* The answer is lost: it may have been recorded, and asking again is harmless. */
static void asked_for_twice_is_built_once(void **state)
{
	struct behind *x = *state;
	faults(x, "request:lose=ETIMEDOUT*1");
	assert_int_equal(ask_and_wait(x->f, 0, 3, -1), -ETIMEDOUT);
	assert_int_equal(ask_and_wait(x->f, 0, 3, -1), 0);
	settle(x->f, 0, 3);
	all_are(x, 0, 3, BATCH_DONE);
	open_again(x);
	settle(x->f, 0, 3);
	all_are(x, 0, 3, BATCH_DONE);
	assert_int_equal(queue(x, "SELECT count(*) FROM state WHERE attempt <> 1"), 0);
}

static void what_was_skipped_is_asked_for_with_its_cause(void **state)
{
	struct behind *x = *state;
	sql(x->f, "ALTER TABLE raw RENAME TO away");
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	settle(x->f, 0, DAYS);
	sql(x->f, "ALTER TABLE away RENAME TO raw");
	assert_int_equal(ask_and_wait(x->f, 20, 21, BATCH_SKIPPED), 0);
	settle(x->f, 0, DAYS);
	assert_int_equal(state_of(x->f, 20), BATCH_DONE);
	all_are(x, 21, DAYS, BATCH_SKIPPED);
	assert_int_equal(ask_and_wait(x->f, 20, 21, BATCH_SKIPPED), -ENOENT);
	/* Taken out of the queue again it is skipped, as it was. */
	faults(x, "claim:hold");
	assert_int_equal(ask_and_wait(x->f, 30, 31, BATCH_SKIPPED), 0);
	assert_int_equal(cancel(x, 30, 31), 0);
	assert_int_equal(state_of(x->f, 30), BATCH_SKIPPED);
	faults(x, "");
	wait_for(x, "SELECT count(*) FROM attempt WHERE outcome = 'cancelled'", 1);
	open_again(x);
	settle(x->f, 0, DAYS);
	assert_int_equal(state_of(x->f, 30), BATCH_SKIPPED);
}

/* What is alike becomes one row, whoever many requests there were. */
static void readers_that_were_asked_for_one_by_one_are_skipped_as_a_range(void **state)
{
	struct behind *x = *state;
	struct ordinal_range all = {x->f->first, x->f->first + DAYS};
	refuse_rows(x);
	faults(x, "claim:error=EHOSTUNREACH");
	assert_int_equal(ask_and_wait(x->f, 0, DAYS, -1), 0);
	ask_one_by_one(x, READER, 0, DAYS);
	faults(x, "");
	while (backend_next_unsettled(x->f->b, READER, all) < all.end)
		usleep(1000);
	all_are(x, 0, 10, BATCH_FAILED);
	/* The ten failures skip one reader each; the range that is skipped with them skips the rest. */
	assert_int_equal(queue(x, "SELECT count(*) FROM answer WHERE skipped"), 2);
	assert_int_equal(queue(x, "SELECT count(*) FROM state WHERE outcome = 3"), 10);
	auto_strbuf out = STRBUF_INIT;
	assert_int_equal(backend_batch_document(x->f->b, READER, x->f->first + 39, &out), 0);
	assert_non_null(strstr(out.str, "it reads m/2024-01-11--2024-02-10, which was skipped"));
}

static void cancelled_and_frozen_as_a_range_though_asked_for_one_by_one(void **state)
{
	struct behind *x = *state;
	faults(x, "claim:error=EHOSTUNREACH");
	ask_one_by_one(x, 0, 0, DAYS);
	assert_int_equal(cancel(x, 0, 20), 0);
	wait_for(x, LINES, 20);
	assert_int_equal(queue(x, "SELECT count(*) FROM attempt WHERE outcome = 'cancelled'"), 1);
	assert_int_equal(freeze(x, 20, 30), 0);
	assert_int_equal(queue(x, LINES), 30);
	assert_int_equal(queue(x, "SELECT count(*) FROM attempt WHERE outcome = 'cancelled'"), 2);
	faults(x, "");
	settle(x->f, 0, DAYS);
	all_are(x, 0, 30, BATCH_PENDING);
	all_are(x, 30, DAYS, BATCH_DONE);
}

/* More than are closed at once. */
static void all_that_is_answered_is_retired(void **state)
{
	struct behind *x = *state;
	faults(x, "claim:error=EHOSTUNREACH");
	for (int i = 0; i < 7; i++)
		ask_one_by_one(x, 0, 0, DAYS);
	assert_int_equal(queue(x, "SELECT count(*) FROM request WHERE open"), 7 * DAYS);
	assert_int_equal(cancel(x, 0, DAYS), 0);
	wait_for(x, "SELECT count(*) FROM request WHERE open", 0);
}

/* Each is answered for itself, and one that was refused leaves nothing behind. */
static void a_request_that_is_refused(void **state)
{
	struct behind *x = *state;
	faults(x, "request:error=EHOSTUNREACH");
	assert_int_equal(ask_and_wait(x->f, 0, 3, -1), -EHOSTUNREACH);
	all_are(x, 0, 3, BATCH_PENDING);
	assert_int_equal(verdict(x->f, 0, 3), 0);
	faults(x, "");
	assert_int_equal(queue(x, "SELECT count(*) FROM request"), 0);
	assert_int_equal(ask_and_wait(x->f, 0, 1, BATCH_FAILED), -ENOENT);
	assert_int_equal(ask_and_wait(x->f, 0, 1, BATCH_PENDING), 0);
	settle(x->f, 0, 1);
	assert_int_equal(ask_and_wait(x->f, 0, 1, BATCH_PENDING), -ENOENT);
	assert_int_equal(state_of(x->f, 0), BATCH_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BEHIND_TEST(skipped_as_one_range),
		BEHIND_TEST(cancelled_at_once_as_one_range),
		BEHIND_TEST(cancelled_while_a_claim_is_on_its_way),
		BEHIND_TEST(a_cancel_that_is_not_recorded),
		BEHIND_TEST(frozen_when_its_cancels_are_recorded),
		BEHIND_TEST(asked_for_twice_is_built_once),
		BEHIND_TEST(what_was_skipped_is_asked_for_with_its_cause),
		BEHIND_TEST(readers_that_were_asked_for_one_by_one_are_skipped_as_a_range),
		BEHIND_TEST(cancelled_and_frozen_as_a_range_though_asked_for_one_by_one),
		BEHIND_TEST(all_that_is_answered_is_retired),
		BEHIND_TEST(a_request_that_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

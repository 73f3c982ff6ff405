/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for, skipped and cancelled, over the SQLite engine behind the layer of faults. */
#include "tests/unit/backend_fixture.h"

#include "tests/fault/fault.h"

struct behind {
	struct fixture *f;
	struct fault_layer layer;
	struct engine engine;
	char rules[96];
};

/* "": no faults any more. */
static void faults(struct behind *x, const char *rules)
{
	write_file(x->rules, rules);
}

static int behind_new(void **state)
{
	struct behind *x = calloc(1, sizeof *x);
	int r = set_up((void **)&x->f);
	fault_layer_init(&x->layer);
	x->engine = fault_wrap(&x->layer, &engine_sqlite);
	x->f->engine = &x->engine;
	snprintf(x->rules, sizeof x->rules, "%s/rules", x->f->dir);
	setenv("BATCHFS_FAULT", "", 1);
	setenv("BATCHFS_FAULT_FILE", x->rules, 1);
	faults(x, "");
	open_backend(x->f, false);
	*state = x;
	return r;
}

static int behind_free(void **state)
{
	struct behind *x = *state;
	faults(x, "");
	int r = tear_down((void **)&x->f);
	fault_layer_fini(&x->layer);
	free(x);
	return r;
}

static void open_again(struct behind *x)
{
	backend_stop(x->f->b);
	backend_close(x->f->b);
	open_backend(x->f, false);
}

static int64_t queue(struct behind *x, const char *text)
{
	char path[160];
	sqlite3 *db;
	sqlite3_stmt *stmt;
	snprintf(path, sizeof path, "%s-queue", x->f->database);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	assert_int_equal(sqlite3_prepare_v2(db, text, -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int64_t found = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	sqlite3_close(db);
	return found;
}

static void wait_for(struct behind *x, const char *text, int64_t value)
{
	while (queue(x, text) != value)
		usleep(1000);
}

static int cancel(struct behind *x, ordinal from, ordinal to)
{
	struct backend_part part = {.batches = {x->f->first + from, x->f->first + to}};
	return backend_cancel(x->f->b, &part, 1, 7, getpid());
}

static void all_are(struct behind *x, ordinal from, ordinal to, enum batch_state state)
{
	for (ordinal d = from; d < to; d++)
		assert_int_equal(state_of(x->f, d), state);
}

/* The tenth equal failure skips the other thirty, in one row, which goes when they have been built. */
static void skipped_as_one_range(void **state)
{
	struct behind *x = *state;
	sql(x->f, "ALTER TABLE raw RENAME TO away");
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
	sql(x->f, "ALTER TABLE away RENAME TO raw");
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

static int freeze(struct behind *x, ordinal from, ordinal to)
{
	struct backend_part part = {.batches = {x->f->first + from, x->f->first + to}};
	struct backend_freeze f = {.parts = &part,
				   .n_parts = 1,
				   .freeze = true,
				   .uid = 7,
				   .pid = getpid(),
				   .done = answered,
				   .ctx = x->f};
	pthread_mutex_lock(&x->f->lock);
	int before = x->f->answered;
	pthread_mutex_unlock(&x->f->lock);
	backend_freeze(x->f->b, &f);
	wait_for_answers(x->f, before + 1);
	return x->f->result;
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, behind_new, behind_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(skipped_as_one_range),
		TEST(cancelled_at_once_as_one_range),
		TEST(cancelled_while_a_claim_is_on_its_way),
		TEST(a_cancel_that_is_not_recorded),
		TEST(frozen_when_its_cancels_are_recorded),
		TEST(asked_for_twice_is_built_once),
		TEST(what_was_skipped_is_asked_for_with_its_cause),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What fs/ remembers: names the kernel may hold, graces, open files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/handle.h"
#include "fs/kernel_cache.h"
#include "fs/walkers.h"
#include "fs/name_grace.h"
#include "fs/node.h"
#include "fs/private.h"

#define FAILED	suffix_of(BATCH_FAILED)
#define QUEUED	suffix_of(BATCH_QUEUED)
#define RUNNING suffix_of(BATCH_RUNNING)
#define BIT(s)	(1u << (s))

static void test_kernel_cache_tells_of_old_names(void **state)
{
	const ordinal base = 10 * KERNEL_CACHE_CHUNK, batch = base + 5;
	struct kernel_cache k;
	struct kernel_cache_view view;
	struct kernel_cache_work work;
	uint8_t queued = QUEUED;
	int64_t next;

	kernel_cache_init(&k);
	assert_false(kernel_cache_changed(&k, 0, base, batch, batch + 1, &queued, 0, &view));
	assert_int_equal(kernel_cache_mark(&k, 0, batch, 0), 0);
	assert_int_equal(kernel_cache_mark(&k, 0, batch, FAILED), 0);
	assert_true(kernel_cache_changed(&k, 0, base, batch, batch + 1, &queued, 0, &view));
	assert_int_equal(view.seen[5], BIT(0) | BIT(FAILED));
	assert_true(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(work.base, base);
	assert_int_equal(work.expire[5], BIT(FAILED));
	assert_int_equal(work.refresh[5], 0);
	/* Told once; and again by the echo. */
	assert_false(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(next, KERNEL_CACHE_ECHO_US);
	assert_true(kernel_cache_take(&k, KERNEL_CACHE_ECHO_US, &work, &next));
	assert_int_equal(work.expire[5], BIT(FAILED));
	assert_int_equal(work.refresh[5], BIT(0) | BIT(FAILED));
	assert_false(kernel_cache_take(&k, KERNEL_CACHE_ECHO_US, &work, &next));
	assert_int_equal(next, INT64_MAX);
	kernel_cache_fini(&k);
}

static void test_kernel_cache_keeps_the_present_name(void **state)
{
	struct kernel_cache k;
	struct kernel_cache_view view;
	struct kernel_cache_work work;
	uint8_t failed = FAILED;
	int64_t next;

	kernel_cache_init(&k);
	kernel_cache_mark(&k, 3, 7, FAILED);
	assert_true(kernel_cache_changed(&k, 3, 0, 7, 8, &failed, 0, &view));
	assert_true(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(work.expire[7], 0);
	kernel_cache_refresh(&k, 3, 7, QUEUED, 0);
	assert_true(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(work.expire[7], BIT(FAILED));
	assert_int_equal(work.refresh[7], BIT(FAILED));
	kernel_cache_fini(&k);
}

/* The kernel may apply what it was told only after the notice that this no longer holds. */
static void test_kernel_cache_says_twice_that_a_listing_was_wrong(void **state)
{
	struct kernel_cache k;
	struct kernel_cache_work work;
	int64_t next;

	kernel_cache_init(&k);
	kernel_cache_mark(&k, 3, 7, FAILED);
	kernel_cache_refresh(&k, 3, 7, QUEUED, 5);
	assert_true(kernel_cache_take(&k, 5, &work, &next));
	assert_true(kernel_cache_is_changing(&k, 3, 7, FAILED));
	assert_false(kernel_cache_take(&k, 5, &work, &next));
	assert_int_equal(next, 5 + KERNEL_CACHE_ECHO_US);
	assert_true(kernel_cache_take(&k, next, &work, &next));
	assert_int_equal(work.expire[7], BIT(FAILED));
	assert_int_equal(work.refresh[7], BIT(FAILED));
	assert_false(kernel_cache_is_changing(&k, 3, 7, FAILED));
	kernel_cache_fini(&k);
}

static void test_kernel_cache_drops_names(void **state)
{
	struct kernel_cache k;
	struct kernel_cache_work work;
	int64_t next;

	kernel_cache_init(&k);
	kernel_cache_mark(&k, 0, 7, 0);
	kernel_cache_mark(&k, 0, 7, FAILED);
	kernel_cache_mark(&k, 0, 8, FAILED);
	kernel_cache_drop_names(&k, 0, 7);
	assert_true(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(work.drop[7], BIT(0) | BIT(FAILED));
	assert_int_equal(work.drop[8], 0);
	kernel_cache_fini(&k);
}

static void test_grace_of_an_accepted_name(void **state)
{
	struct name_graces c;

	name_graces_init(&c);
	assert_int_equal(name_grace_left(&c, 0, 1, FAILED, 10), 0);
	name_grace_accepted(&c, 0, 1, FAILED, 10);
	assert_int_equal(name_grace_left(&c, 0, 1, FAILED, 10), NAME_GRACE_ACCEPTED_US);
	assert_int_equal(name_grace_left(&c, 0, 1, FAILED, 10 + NAME_GRACE_ACCEPTED_US), 0);
	assert_int_equal(name_grace_left(&c, 0, 1, suffix_of(BATCH_PENDING), 10), 0);
	assert_int_equal(name_grace_left(&c, 0, 2, FAILED, 10), 0);
	assert_int_equal(name_grace_left(&c, 1, 1, FAILED, 10), 0);
	name_graces_fini(&c);
}

static void test_grace_of_the_settled(void **state)
{
	struct name_graces c;

	name_graces_init(&c);
	/* It was never seen busy: nothing has settled. */
	name_grace_seen(&c, 0, 1, false, 5);
	assert_int_equal(name_grace_left(&c, 0, 1, QUEUED, 5), 0);
	name_grace_seen(&c, 0, 1, true, 10);
	assert_int_equal(name_grace_left(&c, 0, 1, QUEUED, 10), NAME_GRACE_SETTLED_US);
	assert_int_equal(name_grace_left(&c, 0, 1, RUNNING, 10), 0);
	name_grace_seen(&c, 0, 1, false, 20);
	assert_int_equal(name_grace_left(&c, 0, 1, QUEUED, 20), NAME_GRACE_SETTLED_US);
	assert_int_equal(name_grace_left(&c, 0, 1, RUNNING, 21), NAME_GRACE_SETTLED_US - 1);
	assert_int_equal(name_grace_left(&c, 0, 1, FAILED, 20), 0);
	assert_int_equal(name_grace_left(&c, 0, 1, QUEUED, 20 + NAME_GRACE_SETTLED_US), 0);
	name_graces_fini(&c);
}

static void test_graces_are_bounded(void **state)
{
	struct name_graces c;

	name_graces_init(&c);
	for (ordinal o = 0; o <= NAME_GRACES_MAX; o++)
		name_grace_accepted(&c, 0, o, FAILED, 10);
	assert_int_equal(c.count, NAME_GRACES_MAX);
	assert_int_equal(name_grace_left(&c, 0, 0, FAILED, 10), 0);
	assert_true(name_grace_left(&c, 0, NAME_GRACES_MAX, FAILED, 10) > 0);
	/* What is over goes with the next. */
	name_grace_accepted(&c, 0, 0, FAILED, 10 + NAME_GRACE_ACCEPTED_US);
	assert_int_equal(c.count, 1);
	name_graces_fini(&c);
}

static void test_handles(void **state)
{
	struct handles t;
	struct handle_writes w;

	handles_init(&t);
	uint64_t a = handle_new(&t, 11, 1), b = handle_new(&t, 12, 1), c = handle_new(&t, 12, 1);
	assert_true(a && b && c && a != b && b != c);
	assert_false(handle_writes(&t, 0, &w));
	assert_false(handle_has_text(&t, 99));
	handle_set_writes(&t, a, &(struct handle_writes){.triggered = true, .reasoned = true});
	handle_set_ticket(&t, a, 7);
	assert_true(handle_writes(&t, a, &w));
	assert_true(w.triggered && w.ticket == 7);
	handle_undo(&t, a, true);
	handle_writes(&t, a, &w);
	assert_true(w.triggered && !w.reasoned);
	assert_true(handle_is_open(&t, 11, 0));
	handle_drop(&t, a);
	assert_false(handle_is_open(&t, 11, 0));
	assert_true(handle_is_open(&t, 12, 0));
	/* The slot is used again; the old number stays unknown, and nothing is left in it. */
	uint64_t d = handle_new(&t, 13, 1);
	assert_int_equal((uint32_t)d, (uint32_t)a);
	assert_int_not_equal(d, a);
	assert_false(handle_writes(&t, a, &w));
	handle_set_ticket(&t, a, 9);
	assert_true(handle_writes(&t, d, &w));
	assert_false(w.triggered);
	assert_int_equal(w.ticket, 0);
	assert_false(handle_has_text(&t, d));
	handles_fini(&t);
}

static void test_walkers_are_tried_once(void **state)
{
	struct walkers w = {.list = {{.thread = 0}}};
	const pid_t find = 7, ls = 8;

	for (pid_t who = find; who <= ls; who++)
		assert_true(walker_lists(&w, who, true, 1));
	assert_true(walker_lists(&w, ls, false, 2)); /* the rest of it */
	for (pid_t who = find; who <= ls; who++)
		assert_false(walker_lists(&w, who, true, 2));
	walker_looks(&w, ls);
	assert_true(walker_lists(&w, ls, false, 3));
	for (int64_t i = 3; i < 9; i++) {
		assert_false(walker_lists(&w, find, true, i));
		assert_true(walker_lists(&w, ls, true, i));
	}
	assert_true(walker_lists(&w, find, true, 9 + WALKER_PAUSE_US));
}

static void test_walkers_without_a_number_and_too_many(void **state)
{
	struct walkers w = {.list = {{.thread = 0}}};

	for (int i = 0; i < 3; i++)
		assert_true(walker_lists(&w, 0, true, 1)); /* of another pid namespace */
	for (pid_t who = 1; who <= WALKERS + 1; who++)
		assert_true(walker_lists(&w, who, true, who));
	assert_true(walker_lists(&w, 1, true, WALKERS + 2)); /* forgotten: a new one */
	assert_false(walker_lists(&w, 3, true, WALKERS + 3));
}

/* Of an rm that has found nothing to cancel; what another mount has cancelled since stays. */
static void test_a_vain_rm_is_forgotten_alone(void **state)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	const struct scope ours = {.n = 1, .one = {.model = 1, .batches = {.first = 0, .end = 9}}};

	waits_init(&fs->waits);
	wait_mark_cancelled(fs, &ours, true);
	wait_others_cancel(fs, 2, ours.one.batches);
	wait_mark_cancelled(fs, &ours, false);
	assert_int_equal(fs->waits.rms[0].at, 0);
	assert_int_equal(fs->waits.rms[1].part.model, 2);
	assert_true(fs->waits.rms[1].at > 0);
	/* Its place is taken by another's. */
	wait_mark_cancelled(fs, &ours, true);
	for (int i = 0; i < RECENT_RMS; i++)
		wait_others_cancel(fs, 3, ours.one.batches);
	wait_mark_cancelled(fs, &ours, false);
	for (int i = 0; i < RECENT_RMS; i++)
		assert_true(fs->waits.rms[i].part.model == 3 && fs->waits.rms[i].at > 0);
	waits_fini(&fs->waits);
	free(fs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_cache_tells_of_old_names),
		cmocka_unit_test(test_kernel_cache_keeps_the_present_name),
		cmocka_unit_test(test_kernel_cache_says_twice_that_a_listing_was_wrong),
		cmocka_unit_test(test_kernel_cache_drops_names),
		cmocka_unit_test(test_walkers_are_tried_once),
		cmocka_unit_test(test_walkers_without_a_number_and_too_many),
		cmocka_unit_test(test_grace_of_an_accepted_name),
		cmocka_unit_test(test_grace_of_the_settled),
		cmocka_unit_test(test_graces_are_bounded),
		cmocka_unit_test(test_handles),
		cmocka_unit_test(test_a_vain_rm_is_forgotten_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

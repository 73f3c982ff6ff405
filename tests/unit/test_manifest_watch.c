/* SPDX-License-Identifier: Apache-2.0 */
/* When a manifest's file is read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "backend/manifest/watch.h"

static const struct file_stamp first = {.ino = 1, .size = 10, .modified_ns = 1};
static const struct file_stamp second = {.ino = 1, .size = 20, .modified_ns = 2};
static const struct file_stamp third = {.ino = 1, .size = 30, .modified_ns = 3};
static const struct file_stamp missing = {.err = ENOENT};

static struct manifest_watch watching(void)
{
	return (struct manifest_watch){.known = first, .last = first};
}

static void what_is_left_alone_is_read(void **state)
{
	struct manifest_watch w = watching();
	(void)state;
	assert_int_equal(watch_look(&w, &first, 1000), WATCH_NOTHING);
	assert_int_equal(watch_look(&w, &second, 2000), WATCH_SOON);
	assert_int_equal(watch_look(&w, &third, 2000 + WATCH_QUIET_US), WATCH_SOON); /* still written */
	assert_int_equal(watch_look(&w, &third, 1999 + 2 * WATCH_QUIET_US), WATCH_SOON);
	assert_int_equal(watch_look(&w, &third, 2000 + 2 * WATCH_QUIET_US), WATCH_READ);
	assert_true(watch_read(&w, &third, &third, true, 2001 + 2 * WATCH_QUIET_US));
	assert_int_equal(watch_look(&w, &third, INT64_C(100000000)), WATCH_NOTHING);
}

static void what_changes_while_it_is_read_is_read_again(void **state)
{
	struct manifest_watch w = watching();
	(void)state;
	assert_int_equal(watch_look(&w, &second, 0), WATCH_SOON);
	assert_int_equal(watch_look(&w, &second, WATCH_QUIET_US), WATCH_READ);
	assert_false(watch_read(&w, &second, &third, true, WATCH_QUIET_US + 5));
	assert_int_equal(watch_look(&w, &third, WATCH_QUIET_US + 6), WATCH_SOON);
	assert_int_equal(watch_look(&w, &third, 2 * WATCH_QUIET_US + 5), WATCH_READ);
}

/* Half of a file may be all that there is for a moment. */
static void what_is_broken_is_told_once_and_late(void **state)
{
	struct manifest_watch w = watching();
	(void)state;
	assert_int_equal(watch_look(&w, &second, 0), WATCH_SOON);
	assert_int_equal(watch_look(&w, &second, WATCH_QUIET_US), WATCH_READ);
	assert_false(watch_read(&w, &second, &second, false, WATCH_QUIET_US));
	assert_int_equal(watch_look(&w, &second, WATCH_BROKEN_US - 1), WATCH_SOON);
	assert_int_equal(watch_look(&w, &second, WATCH_BROKEN_US), WATCH_BROKEN);
	assert_int_equal(watch_look(&w, &second, 2 * WATCH_BROKEN_US), WATCH_NOTHING);
	assert_int_equal(watch_look(&w, &third, 2 * WATCH_BROKEN_US), WATCH_SOON);
}

static void what_is_missing(void **state)
{
	struct manifest_watch w = watching();
	(void)state;
	assert_int_equal(watch_look(&w, &missing, 0), WATCH_SOON);
	assert_int_equal(watch_look(&w, &missing, WATCH_BROKEN_US), WATCH_BROKEN);
	assert_int_equal(watch_look(&w, &missing, 2 * WATCH_BROKEN_US), WATCH_NOTHING);
	/* What comes back is news, though it is the file that was read. */
	assert_int_equal(watch_look(&w, &first, 3 * WATCH_BROKEN_US), WATCH_SOON);
	assert_int_equal(watch_look(&w, &first, 4 * WATCH_BROKEN_US), WATCH_READ);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_left_alone_is_read),
		cmocka_unit_test(what_changes_while_it_is_read_is_read_again),
		cmocka_unit_test(what_is_broken_is_told_once_and_late),
		cmocka_unit_test(what_is_missing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

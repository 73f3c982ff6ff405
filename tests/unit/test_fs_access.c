/* SPDX-License-Identifier: Apache-2.0 */
/* Whose groups are read in /proc. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/base/cleanup.h"
#include "fs/access.h"

#define STATUS                                                                                                    \
	"Name:\ttouch\nUmask:\t0022\nTgid:\t7\nPid:\t7\nUid:\t1000\t1000\t1000\t1001\nGid:\t100\t100\t100\t101\n" \
	"FDSize:\t64\nGroups:\t100 2000 65534 \nNStgid:\t7\n"

static bool is_in(const char *text, uid_t uid, gid_t gid, gid_t group)
{
	auto_file FILE *f = fmemopen((void *)text, strlen(text), "r");

	assert_non_null(f);
	return access_in_group(f, uid, gid, group);
}

static void test_groups_of_who_asks(void **state)
{
	assert_true(is_in(STATUS, 1001, 101, 2000));
	assert_true(is_in(STATUS, 1001, 101, 65534));
	assert_false(is_in(STATUS, 1001, 101, 200));
	assert_false(is_in(STATUS, 1001, 101, 101)); /* not a supplementary one */
}

/* The number of a process is another one's in another pid namespace. */
static void test_groups_of_somebody_else(void **state)
{
	assert_false(is_in(STATUS, 1000, 101, 2000));
	assert_false(is_in(STATUS, 1001, 100, 2000));
	assert_false(is_in("Name:\tx\nGroups:\t2000\n", 0, 0, 2000));
	assert_false(is_in("Name:\tx\nUid:\t\nGid:\t\nGroups:\t2000\n", 1000, 100, 2000));
	assert_false(is_in(" ", 1000, 100, 2000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_of_who_asks),
		cmocka_unit_test(test_groups_of_somebody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which errors of the FUSE descriptor are the end of the mount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "fs/device.h"

static void test_the_end_of_the_connection_is_an_unmount(void **state)
{
	assert_int_equal(device_read_error(ENODEV), ENODEV);
	assert_int_equal(device_read_error(ECONNABORTED), ENODEV);
}

/* These libfuse treats each in its own way: tried again, or the mount is broken. */
static void test_other_errors_stay_what_they_are(void **state)
{
	static const int others[] = {EINTR, EAGAIN, ENOENT, EIO, EINVAL, EBADF};

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(device_read_error(others[i]), others[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_end_of_the_connection_is_an_unmount),
		cmocka_unit_test(test_other_errors_stay_what_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

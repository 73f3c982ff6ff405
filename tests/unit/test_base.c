/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/count.h"
#include "backend/base/error.h"
#include "backend/base/log.h"
#include "backend/base/peer.h"
#include "backend/base/strbuf.h"
#include "backend/base/utf8.h"

static void test_strbuf_grows(void **state)
{
	auto_strbuf b = STRBUF_INIT;

	assert_string_equal(b.str, "");
	for (int i = 0; i < 1000; i++)
		strbuf_printf(&b, "%d,", i % 10);
	strbuf_putc(&b, 'x');
	strbuf_fill(&b, ' ', 3);
	strbuf_puts(&b, "end");
	assert_int_equal(b.len, 2007);
	assert_int_equal(strlen(b.str), b.len);
	assert_string_equal(b.str + 1996, "8,9,x   end");
	strbuf_clear(&b);
	assert_string_equal(b.str, "");
	strbuf_add(&b, "a\0b", 3);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.str, "a\0b", 4);
	(void)state;
}

static void test_strbuf_detach(void **state)
{
	auto_strbuf b = STRBUF_INIT;
	auto_free char *empty = strbuf_detach(&b);

	assert_string_equal(empty, "");
	strbuf_puts(&b, "text");
	auto_free char *text = strbuf_detach(&b);
	assert_string_equal(text, "text");
	assert_string_equal(b.str, "");
	assert_int_equal(b.len, 0);
	(void)state;
}

static void test_strbuf_breaks_and_stays_broken(void **state)
{
	auto_strbuf b = STRBUF_INIT;

	strbuf_puts(&b, "text");
	strbuf_fill(&b, ' ', SIZE_MAX / 2);
	assert_true(strbuf_broken(&b));
	strbuf_puts(&b, "more");
	strbuf_printf(&b, "%d", 1);
	assert_true(strbuf_broken(&b));
	assert_string_equal(b.str, "");
	assert_null(strbuf_detach(&b));
	assert_false(strbuf_broken(&b));
	(void)state;
}

static void test_error(void **state)
{
	struct error e = {0};

	assert_int_equal(error_set(&e, EPERM, "no %s\n\n", "way"), -EPERM);
	assert_int_equal(e.err, EPERM);
	assert_string_equal(e.text, "no way");
	assert_string_equal(e.sqlstate, "");
	assert_int_equal(error_sql(&e, EIO, "40P01", "deadlock"), -EIO);
	assert_string_equal(e.sqlstate, "40P01");
	assert_int_equal(error_prefix(&e, "%s: ", "batch"), -EIO);
	assert_string_equal(e.text, "batch: deadlock");
	assert_string_equal(e.sqlstate, "40P01");
	assert_int_equal(error_set(NULL, EINVAL, "nobody reads this"), -EINVAL);
	assert_int_equal(error_sql(NULL, EINVAL, NULL, "nor this"), -EINVAL);
	assert_string_equal(error_name(EPERM), "EPERM");
	assert_string_equal(error_name(123456), "EIO");
	(void)state;
}

/* A text that is too long is cut between characters, wherever the cut falls. */
static void test_error_is_cut_between_characters(void **state)
{
	struct error e = {0};
	char text[2 * sizeof e.text];

	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'a', shift);
		for (size_t i = shift; i + 3 < sizeof text; i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		error_set(&e, EIO, "%s", text);
		size_t n = strlen(e.text);
		assert_true(n < sizeof e.text && n + 8 > sizeof e.text);
		assert_int_equal((n - shift) % 3, 0);
		error_prefix(&e, "file: ");
		n = strlen(e.text);
		assert_true(n < sizeof e.text && n + 8 > sizeof e.text);
		assert_memory_equal(e.text, "file: ", 6);
		assert_int_equal((n - shift - 6) % 3, 0);
	}
	(void)state;
}

static void test_clock(void **state)
{
	const int64_t year_2020 = INT64_C(1577836800000000);
	struct clock system = {0}, shifted = clock_starting_at(year_2020);

	assert_true(clock_now_us(&system) > year_2020);
	int64_t first = clock_now_us(&shifted);
	int64_t second = clock_now_us(&shifted);
	assert_true(first >= year_2020 && second >= first);
	assert_true(clock_now_us(&system) - shifted.offset_us != 0);
	assert_true(clock_now_us(&system) > second);
	int64_t minute = 60 * INT64_C(1000000);
	clock_follow(&shifted, second - minute);
	assert_true(clock_now_us(&shifted) < second + minute / 4);
	clock_follow(&shifted, second + minute / 2);
	assert_true(clock_now_us(&shifted) > second + minute / 2);
	clock_follow(&shifted, second + 3 * minute);
	assert_true(clock_now_us(&shifted) < second + 2 * minute);
	first = clock_monotonic_us();
	assert_true(clock_monotonic_us() >= first);
	(void)state;
}

static int *taken(int *p)
{
	int *own = p;
	return steal(&own);
}

static void test_cleanup(void **state)
{
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	int x = 1;

	{
		LOCKED(&m);
		assert_int_equal(pthread_mutex_trylock(&m), EBUSY);
	}
	assert_int_equal(pthread_mutex_trylock(&m), 0);
	pthread_mutex_unlock(&m);
	assert_ptr_equal(taken(&x), &x);
	(void)state;
}

static void numbers_have_their_noun(void **state)
{
	(void)state;
	assert_string_equal(count_of(0, "batch", "batches").text, "0 batches");
	assert_string_equal(count_of(1, "batch", "batches").text, "1 batch");
	assert_string_equal(count_of(2, "batch", "batches").text, "2 batches");
	assert_string_equal(count_of(UINT64_MAX, "row", "rows").text, "18446744073709551615 rows");
}

/* What log_write() puts onto stderr. */
static void logged_as(enum log_form form, const char *message, char *line, size_t size)
{
	const struct log log = {.level = LOG_LEVEL_INFO, .form = form};
	int ends[2], before = dup(STDERR_FILENO);

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_info(&log, "%s", message);
	dup2(before, STDERR_FILENO);
	close(ends[1]);
	ssize_t n = read(ends[0], line, size - 1);
	assert_true(n >= 0);
	line[n] = '\0';
	close(ends[0]);
	close(before);
}

static void logged(const char *message, char *line, size_t size)
{
	logged_as(LOG_FORM_TEXT, message, line, size);
}

static void test_log_as_json(void **state)
{
	char line[8192], want[128], message[3000];

	logged_as(LOG_FORM_JSON, "a \"b\" c\\d\ne", line, sizeof line);
	snprintf(want, sizeof want,
		 "\"level\": \"info\", \"pid\": %ld, \"message\": \"a \\\"b\\\" c\\\\d\\\\ne\"}\n",
		 (long)getpid());
	assert_string_equal(strstr(line, "\"level\""), want);
	assert_int_equal(strncmp(line, "{\"at\": \"2", 9), 0);
	/* The longest there is: every byte is quoted. */
	memset(message, '"', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	logged_as(LOG_FORM_JSON, message, line, sizeof line);
	assert_string_equal(line + strlen(line) - 4, "\"\"}\n");
	assert_true(strlen(line) > 4000);
	(void)state;
}

/* A child that has a flock on the file and lives until it is killed; returns when it has the lock. */
static pid_t hold_flock(const char *path)
{
	int ends[2];
	char ready;

	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (!child) {
		int fd = open(path, O_RDWR);
		if (flock(fd, LOCK_EX) || write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_true(child > 0);
	assert_int_equal(read(ends[0], &ready, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return child;
}

static void test_a_flock_of_who_is_being_killed(void **state)
{
	char path[] = "/tmp/batchfs-flock-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	pid_t child = hold_flock(path);
	assert_false(peer_wait_gone(child));
	assert_int_equal(peer_flock(fd), -EWOULDBLOCK);
	kill(child, SIGKILL);
	assert_int_equal(peer_flock(fd), 0);
	/* Not reaped yet, and gone all the same. */
	assert_true(peer_wait_gone(child));
	waitpid(child, NULL, 0);
	assert_true(peer_wait_gone(child));
	close(fd);
	unlink(path);
	(void)state;
}

static void test_log_with_a_date(void **state)
{
	char line[4096];

	logged_as(LOG_FORM_DATED, "hello", line, sizeof line);
	assert_string_equal(line + strlen("2024-09-04T12:00:00.000Z"), " batchfs: info: hello\n");
	assert_int_equal(line[23], 'Z');
	(void)state;
}

static void test_log_makes_visible(void **state)
{
	char line[4096], message[3000];

	logged("M\xc3\xbcller's \\ \xe2\x9c\x93", line, sizeof line);
	assert_string_equal(line, "batchfs: info: M\xc3\xbcller's \\ \xe2\x9c\x93\n");
	logged("a\nbatchfs: info: forged\tb\x1b[2J\x7f", line, sizeof line);
	assert_string_equal(line, "batchfs: info: a\\nbatchfs: info: forged\\tb\\x1b[2J\\x7f\n");
	logged("\xc2\x9b"
	       "1m \xff \xc3",
	       line, sizeof line);
	assert_string_equal(line, "batchfs: info: \\xc2\\x9b"
				  "1m \\xff \\xc3\n");
	memset(message, '\n', sizeof message - 1);
	message[sizeof message - 1] = '\0';
	logged(message, line, sizeof line);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_true(strlen(line) > 2000 && strlen(line) <= 2048);
	(void)state;
}

static void test_utf8(void **state)
{
	static const struct {
		const char *text;
		unsigned length;
	} cases[] = {
		{"", 0},
		{"a", 1},
		{"\xc3\xbc", 2},
		{"\xe2\x9c\x93", 3},
		{"\xf0\x9f\x98\x80", 4},
		{"\x80", 0},
		{"\xc0\xaf", 0},
		{"\xe0\x80\xaf", 0},
		{"\xed\xa0\x80", 0},
		{"\xf0\x80\x80\xaf", 0},
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xe2\x9c", 0},
		{"\xc3", 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_int_equal(utf8_length(cases[i].text), cases[i].length);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_have_their_noun),
		cmocka_unit_test(test_strbuf_grows),
		cmocka_unit_test(test_strbuf_detach),
		cmocka_unit_test(test_strbuf_breaks_and_stays_broken),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_error_is_cut_between_characters),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_cleanup),
		cmocka_unit_test(test_log_makes_visible),
		cmocka_unit_test(test_log_as_json),
		cmocka_unit_test(test_log_with_a_date),
		cmocka_unit_test(test_a_flock_of_who_is_being_killed),
		cmocka_unit_test(test_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

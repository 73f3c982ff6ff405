/* SPDX-License-Identifier: Apache-2.0 */
/* A private PostgreSQL for tests: its own directory, a socket only, gone at the end. */
#ifndef BATCHFS_TESTS_POSTGRES_FIXTURE_H
#define BATCHFS_TESTS_POSTGRES_FIXTURE_H

#include <stddef.h>

/* Runs a group of tests beside a server; after <cmocka.h>. What main() returns: 77, meson's word for skipped,
 * where there is no server on this machine; with BATCHFS_MUST_WORK=1 that is a failure. */
#define server_run(tests) server_run_tests(#tests, tests, sizeof(tests) / sizeof *(tests))
struct CMUnitTest;
int server_run_tests(const char *name, const struct CMUnitTest *tests, size_t n);

/* A new empty database, which PGDATABASE names from then on. */
void server_database(void);
void server_database_in(const char *encoding); /* with another encoding than UTF8 */

/* From now on no commit is flushed that does not wait for that itself: what asynchronous ones have written is
 * lost with the server. */
void server_flushes_no_more(void);

/* kill -9 of every process of the server, and a new start. */
void server_crashes(void);

/* Runs SQL as the superuser; the first value of its last result, "" if there is none. Valid until the next
 * call. */
const char *sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A session in that database of a role that may do nothing but connect. The statement is sent, and not waited
 * for. */
struct stranger;
struct stranger *stranger_session(const char *statement);
/* The same of the superuser, when the statement has been carried out; it may leave a transaction open. */
struct stranger *holder_session(const char *statement);
void stranger_end(struct stranger *s);

#endif

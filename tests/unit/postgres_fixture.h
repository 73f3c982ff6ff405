/* SPDX-License-Identifier: Apache-2.0 */
/* A private PostgreSQL for tests: its own directory, a socket only, gone at the end. */
#ifndef BATCHFS_TESTS_POSTGRES_FIXTURE_H
#define BATCHFS_TESTS_POSTGRES_FIXTURE_H

#include <stdbool.h>

/* Sets PGHOST, PGUSER and PGDATABASE. False: there is no PostgreSQL server on this machine. */
bool server_start(void);
void server_stop(void);

/* A new empty database, which PGDATABASE names from then on. */
void server_database(void);

/* Runs SQL as the superuser; the first value of its last result, "" if there is none. Valid until the next
 * call. */
const char *sql(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

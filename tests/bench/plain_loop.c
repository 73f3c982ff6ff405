/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a careful person would write by hand: batch by batch BEGIN, UPDATE of a state row,
 * DELETE of the window, INSERT .. SELECT, COMMIT, each by PQexec on one connection.
 * Prints the seconds that the loop took, without the connect.
 *
 *     plain_loop CONNINFO TARGET SOURCE STATE FIRST_DAY hour|day BATCHES
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int run(PGconn *c, const char *sql)
{
	PGresult *r = PQexec(c, sql);
	int ok = PQresultStatus(r) == PGRES_COMMAND_OK;
	if (!ok)
		fprintf(stderr, "%s: %s", sql, PQerrorMessage(c));
	PQclear(r);
	return ok;
}

static int one_batch(PGconn *c, char *const *argv, int number)
{
	char update[512], del[512], insert[1024], window[256];
	const char *unit = argv[6];
	snprintf(window, sizeof window,
		 "event_time >= timestamptz '%s 00:00+00' + interval '%d %s' and event_time < timestamptz "
		 "'%s 00:00+00' + "
		 "interval '%d %s'",
		 argv[5], number, unit, argv[5], number + 1, unit);
	snprintf(update, sizeof update,
		 "UPDATE %s SET status = 'done', finished = clock_timestamp(), attempt = attempt + 1 WHERE "
		 "batch = timestamptz '%s 00:00+00' + interval '%d %s'",
		 argv[4], argv[5], number, unit);
	snprintf(del, sizeof del, "DELETE FROM %s WHERE %s", argv[2], window);
	snprintf(insert, sizeof insert, "INSERT INTO %s SELECT id, event_time, val FROM %s WHERE %s", argv[2],
		 argv[3], window);
	return run(c, "BEGIN") && run(c, update) && run(c, del) && run(c, insert) && run(c, "COMMIT");
}

int main(int argc, char **argv)
{
	if (argc != 8) {
		fprintf(stderr,
			"usage: plain_loop CONNINFO TARGET SOURCE STATE FIRST_DAY hour|day BATCHES\n");
		return 2;
	}
	PGconn *c = PQconnectdb(argv[1]);
	if (PQstatus(c) != CONNECTION_OK) {
		fprintf(stderr, "%s", PQerrorMessage(c));
		PQfinish(c);
		return 1;
	}
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	int ok = 1;
	for (int number = 0; ok && number < atoi(argv[7]); number++)
		ok = one_batch(c, argv, number);
	clock_gettime(CLOCK_MONOTONIC, &b);
	PQfinish(c);
	printf("%.6f\n", (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9);
	return ok ? 0 : 1;
}

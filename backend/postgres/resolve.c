/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of an attempt whose connection was lost: the state row tells, once it can be
 * locked. The lost transaction, while it lives, holds that row, because it wrote it first.
 */
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

#define AGAIN_US   100000
#define LONGEST_US 2000000

static enum build_outcome verdict(const PGresult *r, struct build_report *report)
{
	if (PQntuples(r) == 0 || (uint32_t)pg_int(r, 0, 2) != report->attempt)
		return BUILD_STALE;
	if (pg_int(r, 0, 0) == ROW_RUNNING)
		return BUILD_PASSING;
	if (pg_int(r, 0, 0) != ROW_IDLE || pg_int(r, 0, 1) != OUTCOME_DONE)
		return BUILD_STALE;
	report->finished = pg_time(r, 0, 3);
	report->rows_deleted = pg_count(r, 0, 4);
	report->rows_inserted = pg_count(r, 0, 5);
	report->rows_outside = pg_count(r, 0, 6);
	return BUILD_DONE;
}

static int look(struct worker *w, const struct pg_model *m, struct build_report *report,
		enum build_outcome *outcome)
{
	struct pg_params params = {0};
	pg_param_int(&params, pg_id(m));
	pg_param_time(&params, calendar_start(m->model->batch_size, report->batch));
	pg_param_int(&params, w->store->owner);
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	pg_add_begin(&p);
	size_t row = pg_add(&p, SQL_RESOLVE, &params);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, NULL);
	if (!r)
		*outcome = verdict(p.results[row], report);
	return r;
}

enum build_outcome resolve(struct worker *w, const struct pg_model *m, struct build_report *report,
			   struct error *err)
{
	struct error lost = *err;
	for (int64_t pause = AGAIN_US;; pause = pause < LONGEST_US ? 2 * pause : LONGEST_US) {
		enum build_outcome outcome;
		int r = pg_connect(&w->conn, pg_deadline(w->store), NULL);
		if (!r)
			r = look(w, m, report, &outcome);
		if (!r) {
			*err = lost;
			return outcome;
		}
		if (pg_pause(w->conn.abandon_fd, clock_monotonic_us() + pause)) {
			error_set(err, ECANCELED,
				  "the warehouse was given up before the fate of the batch was known");
			return BUILD_INTERRUPTED;
		}
	}
}

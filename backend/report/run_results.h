/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dbt's run_results.json (schema v6) of the present state of all batches, so that `dbt retry --state` and
 * `dbt ls --select result:… --state` go on from there. dbt writes two times a batch, which is 25 MB for a
 * thousand models with a year of days: only two bits a batch are kept, and the text is made as it is read.
 *
 * A model with a failed batch has the status `error`, although dbt itself says "partial success": that cannot
 * be selected, because of the blank. One with skipped batches only is `skipped`. Of both dbt's retry builds
 * the failed windows alone, where a window of the model has succeeded. Where none has, dbt builds the model
 * anew, for the whole of --event-time-start and --event-time-end: these then span what failed. A model of
 * which nothing is known has no result.
 */
#ifndef BATCHFS_REPORT_RUN_RESULTS_H
#define BATCHFS_REPORT_RUN_RESULTS_H

#include "backend/report/report.h"

struct run_results;

struct run_results_head {
	const char *dbt_version; /* of the manifest; "": not known */
	const char *target;	 /* of the profile, with which dbt is to go on; NULL: the profile's own */
	int64_t now;
};

struct run_result {
	const struct model *model;
	const struct report_outcomes *outcomes;
	const char *message; /* of the first failed batch; "": none */
};

/* First all results are added, then it is ended, then it is read, by any thread. NULL: no memory. */
struct run_results *run_results_new(const struct run_results_head *head);
void run_results_free(struct run_results *r); /* NULL is fine */

/* Copies what it needs. -ENOMEM. */
int run_results_add(struct run_results *r, const struct run_result *one);
int run_results_end(struct run_results *r);

/* Bytes; once it has been ended. */
size_t run_results_size(const struct run_results *r);

/* Appends what lies in [off, end), end <= run_results_size(). */
void run_results_read(const struct run_results *r, size_t off, size_t end, struct strbuf *out);

#endif

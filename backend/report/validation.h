/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a validation: a table for people, or JSON. Plain facts in, text out, as report.h. */
#ifndef BATCHFS_REPORT_VALIDATION_H
#define BATCHFS_REPORT_VALIDATION_H

#include "backend/base/strbuf.h"
#include "backend/validation.h"

struct report_problem {
	const char *dir; /* of its model */
	enum batch_size size;
	struct problem problem;
};

/* All zero but for the counts that are not known (-1): there is none. */
struct report_validation {
	int64_t at;	/* of the report; 0: something was never validated */
	int64_t oldest; /* of the reports that there are; 0: there is none */
	int64_t batches, pending, found;
	struct report_problem *list; /* owned */
	size_t n;
	size_t models; /* that can be validated */
	bool several;  /* the batches are named with their models */
	bool single;   /* of this one batch: */
	const char *dir;
	enum batch_size size;
	ordinal batch;
	int64_t rows, recorded;
	const char *never;     /* why nothing is validated here; NULL: it can be */
	struct strbuf missing; /* the models of which something was never validated, with commas */
	int64_t since;	       /* when one was asked for that is not over; 0: none was */
	bool begun;	       /* it has begun here */
	char waits_for[300];   /* why it does not get on; "": nothing is in its way */
	int64_t failed_at;
	char failed[600]; /* the model, and why the last one came to no report; "": it did */
};

/* Copies the problem. -ENOMEM. */
int report_problem_add(struct report_validation *r, const char *dir, enum batch_size size,
		       const struct problem *p);
void report_missing_add(struct report_validation *r, const char *dir);
void report_validation_fini(struct report_validation *r);

int report_validation_json(const struct report_validation *r, struct strbuf *out);
int report_validation_table(const struct report_validation *r, struct strbuf *out);

#endif

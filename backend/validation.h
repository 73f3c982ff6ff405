/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A validation: what was asked of a model's target and its inputs, and what of that is a problem. An engine
 * asks and fills a tally; the tally judges, so that every engine judges alike; what it has found travels, and
 * is kept, as a text (findings). Pure but for memory.
 */
#ifndef BATCHFS_VALIDATION_H
#define BATCHFS_VALIDATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/error.h"
#include "backend/base/strbuf.h"
#include "backend/calendar.h"

enum problem_kind {
	PROBLEM_EMPTY,	       /* built, and holds no row although each input that is filtered does */
	PROBLEM_COUNT,	       /* holds another number of rows than was recorded when it was built */
	PROBLEM_DUPLICATE,     /* holds rows whose unique_key another row of the table has, too */
	PROBLEM_OUTSIDE,       /* of the table: rows before begin, or behind the window that is open now */
	PROBLEM_NO_EVENT_TIME, /* of the table: rows without an event_time */
	PROBLEM_EXPECT, /* holds another number of rows than the query of meta.batchfs.expect says; without a
			   batch: that query is wrong */
	PROBLEM_KINDS,
};
const char *problem_word(enum problem_kind kind); /* as the JSON names it */

/* -1: not known, or not asked. */
struct problem {
	enum problem_kind kind;
	bool of_table; /* it is of no batch */
	ordinal batch;
	int64_t rows, recorded, input_rows;
	int64_t duplicates; /* rows that share their key */
	char *detail;	    /* "": nothing to add */
};

/* So many problems are kept of one validation; all are counted. */
#define PROBLEMS_KEPT 1000
/* So long is what is kept of a detail, in bytes. */
#define PROBLEM_DETAIL_MAX 300

struct findings {
	struct problem *list; /* of the table first, then by batch */
	size_t n;
	struct ordinal_range *gaps; /* what of the batches was not built */
	size_t n_gaps;
	ordinal complete_to;	/* problems of batches behind this one are not in the list */
	int64_t rows, recorded; /* of a validation of one batch, also where nothing is wrong; else -1 */
};
/* -EINVAL: no such text; -ENOMEM. *out holds nothing then. */
int findings_parse(const char *text, enum batch_size size, struct findings *out);
void findings_fini(struct findings *f);

/* What is known of a batch. */
struct tally_batch;

struct tally {
	enum batch_size size;
	struct ordinal_range looked; /* what is judged: batches that exist now */
	bool whole;		     /* all of the table, so also what lies in no batch */
	struct tally_batch *batch;   /* of looked */
	size_t inputs;		     /* that were asked */
	int64_t no_event_time, outside, outside_first, outside_last;
	bool expects;
	char *expect_wrong; /* why the query of meta.batchfs.expect tells nothing; NULL: it does */
	/* After tally_judge(): */
	int64_t batches, pending, found;
};

/* *t holds nothing before. -ENOMEM. */
int tally_init(struct tally *t, enum batch_size size, struct ordinal_range looked, bool whole);
void tally_fini(struct tally *t);

/* As the store has it. running: it is being built, so that nothing of it is judged. recorded -1: not known.
 */
void tally_state(struct tally *t, ordinal batch, bool built, bool running, int64_t recorded);
/* As the target has it: rows of the window that starts then. What lies outside of begin..now counts as such,
 * where all of the table is judged. */
void tally_rows(struct tally *t, int64_t start_us, int64_t rows);
void tally_no_event_time(struct tally *t, int64_t rows);
/* Rows of the batch that share their key; sample: one such key. */
void tally_duplicates(struct tally *t, int64_t start_us, int64_t rows, const char *sample);

/* The batches whose inputs are to be asked: from the first to the last one that is built and holds no row.
 * Empty: none is. */
struct ordinal_range tally_empty(const struct tally *t);
/* One input: the windows that hold rows of it, between begin and end. */
void tally_input_begin(struct tally *t);
void tally_input(struct tally *t, int64_t start_us, int64_t rows);

/* The query of meta.batchfs.expect was asked. */
void tally_expect_begin(struct tally *t);
void tally_expect(struct tally *t, int64_t start_us, int64_t rows);
void tally_expect_wrong(struct tally *t, const char *why);

/* Counts, and appends what was found. -ENOMEM. */
int tally_judge(struct tally *t, struct strbuf *findings);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The validations of a model that a mount knows: those that were asked for, and of those that are over each
 * one that no later one has replaced, because that looked at all that it had looked at. Memory only; the
 * owner serialises.
 *
 * How the report of a stretch comes of that: its time is that of the last validation that looked at all of
 * the stretch that existed then; what has been looked at once more since, as a part of it, is shown as it was
 * found last.
 */
#ifndef BATCHFS_VALIDATION_LIST_H
#define BATCHFS_VALIDATION_LIST_H

#include "backend/store.h"
#include "backend/validation.h"

struct validation_record {
	struct store_validation v; /* without its strings */
	struct findings findings;  /* of one that is over */
	bool begun;		   /* it is being carried out here */
	bool cancelling;	   /* somebody has asked for its end here */
	bool stale;		   /* the store has not reported it again since its restart */
	int64_t not_before;	   /* us, monotonic: not tried again earlier */
	unsigned tries;		   /* that had to be given up, one after the other */
	char *waits_for;	   /* why the last try had to be; NULL: none had */
};

/* All zero: there is none. */
struct validation_list {
	struct validation_record **list; /* by id */
	size_t n;
	char *failed; /* why the last one that failed did; NULL: none has since it was forgotten */
	int64_t failed_at;
	int64_t failed_id;
};

/*
 * One that is new, or has changed. -ENOMEM: as before. -EINVAL: its findings
 * cannot be read.
 */
int validation_list_put(struct validation_list *l, enum batch_size size, const struct store_validation *v);
struct validation_record *validation_list_find(const struct validation_list *l, int64_t id);
/* Those that are over, because the table that they are of is no more. */
void validation_list_forget(struct validation_list *l);
void validation_list_remove(struct validation_list *l, int64_t id);
void validation_list_fini(struct validation_list *l);

/* Of a stretch of the model. */
struct validation_part {
	bool covered; /* all of it was looked at, once */
	int64_t at;
	int64_t batches, pending, found;
	const struct problem **list; /* owned, what they point to is the list's; of the table first, then by
					batch */
	size_t n;
	int64_t rows, recorded;			   /* of a single batch that was looked at alone; else -1 */
	const struct validation_record *under_way; /* the oldest that will tell more of it; NULL: none */
};

/* whole: the stretch is all of the table. -ENOMEM. *out is to be given to validation_part_fini(). */
int validation_compose(const struct validation_list *l, enum batch_size size, struct ordinal_range part,
		       bool whole, struct validation_part *out);
void validation_part_fini(struct validation_part *p);

#endif

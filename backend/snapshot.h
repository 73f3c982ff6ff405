/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What view/ reads of a backend. schedule/ keeps it and knows nothing of its readers.
 */
#ifndef BATCHFS_SNAPSHOT_H
#define BATCHFS_SNAPSHOT_H

#include <pthread.h>

#include "backend/attempts.h"
#include "backend/backend.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/refusals.h"
#include "backend/report/report.h"
#include "backend/validation/list.h"

/* Of the manifest's file. */
struct manifest_news {
	int64_t loaded_at;  /* us, our clock: of the one that is in force */
	int64_t wrong_at;   /* of `wrong` */
	struct error wrong; /* err != 0: why what is there now is not in force */
};

/* The pointers never change; what they point to is read with the lock, where it is not marked otherwise. */
struct snapshot {
	const struct backend *backend;
	pthread_mutex_t *lock;
	const struct backend_config *config; /* immutable */
	struct open_store *store;	     /* for store_statements() alone, without the lock */
	struct models *models;
	const struct ledger *ledger;
	const struct refusals *refusals;
	const struct manifest_news *manifest;
	const struct error *warehouse; /* err != 0: cannot be reached, and why */
	int64_t since;		       /* immutable: when the mount began; us */
};

/* As long as the backend is open. */
const struct snapshot *snapshot_of(const struct backend *b);

/* What is known of a model apart from its facts and its batches. With the lock, and as long as it is held. */
struct snapshot_model {
	const char *why_not;  /* NULL: it can run here */
	const char *notes;    /* a sentence a line; NULL: nothing */
	const char *strategy; /* how a batch's rows are replaced; constant. NULL: not known */
	enum time_type event_time_type;
	int64_t changed_at;
	struct report_kept *kept; /* the one thing that a reader changes */
	const struct attempt_counts *attempts;
	uint64_t generation;	 /* rises with every change of the model: what is kept is of which? */
	struct report_look look; /* all but its model */
	const struct validation_list *validations;
	bool lookable; /* there is, or may be, a table that can be looked at */
};
struct snapshot_model snapshot_model(const struct snapshot *v, slot model);

#endif

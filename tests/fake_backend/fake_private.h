/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_FAKE_PRIVATE_H
#define BATCHFS_FAKE_PRIVATE_H

#include <pthread.h>
#include <sys/queue.h>

#include "tests/fake_backend/fake_backend.h"

struct fake_batch {
	enum batch_state state;
	uint32_t attempt;
	int64_t built_at;
	bool again, failing, frozen;
};

struct fake_table {
	struct fake_model model;
	struct fake_batch *batches;
	int64_t changed_at;
	uint64_t generation; /* as backend_generation() */
};

struct fake_request {
	struct backend_request r; /* parts: of its own */
	struct backend_part part;
	bool is_reason;
	char *reason;
	TAILQ_ENTRY(fake_request) link;
};

struct fake_job {
	slot model;
	ordinal batch;
	bool cancelled;
	TAILQ_ENTRY(fake_job) link;
};

struct backend {
	int n;
	bool read_only;
	struct fake_table *tables;
	struct backend_listener listener;
	pthread_t control, worker;

	pthread_mutex_t lock; /* for the batches and everything below */
	pthread_cond_t work;
	TAILQ_HEAD(, fake_request) requests;
	TAILQ_HEAD(, fake_job) queue;
	bool hold_requests, hold_builds, stop;
	unsigned built, recorded, unsettled;
	uint64_t tickets;
	char *reason, *refusal;
};

/* For what only looks. */
static inline pthread_mutex_t *lock_of(const struct backend *b)
{
	return (pthread_mutex_t *)&b->lock;
}

struct fake_batch *fake_at(const struct backend *b, slot model, ordinal batch);

/* Whether a batch in that state belongs to the part. */
bool fake_meant(const struct backend_part *p, enum batch_state state);

/* Control thread, under the lock, which it gives up meanwhile. */
void fake_end_cancelled(struct backend *b);

#endif

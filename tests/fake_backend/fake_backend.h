/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend/backend.h in memory, for tests of fs/: nothing is recorded, building takes no time, and
 * requests and builds can be held. Thread-safe.
 */
#ifndef BATCHFS_FAKE_BACKEND_H
#define BATCHFS_FAKE_BACKEND_H

#include "backend/backend.h"

struct fake_model {
	const char *dir;
	enum batch_size size;
	struct ordinal_range existing;
	enum batch_state state; /* of every batch */
	bool runnable, protected;
};

struct backend *fake_open(const struct fake_model *models, int n, bool read_only);

/* Requests (and reasons) are taken, and answered once they are released. */
void fake_hold_requests(struct backend *b, bool hold);

/* Batches stay running. */
void fake_hold_builds(struct backend *b, bool hold);

/* Builds of the batch fail from now on, or no longer. */
void fake_set_failing(struct backend *b, slot model, ordinal batch, bool failing);

/* As if another mount had done it: with a notice. */
void fake_set_state(struct backend *b, slot model, ordinal batch, enum batch_state state);

/* Builds that have ended, of all batches; requests that were recorded, that are held; the last reason and
 * refusal (to be freed). */
unsigned fake_builds(struct backend *b);
unsigned fake_requests(struct backend *b);
unsigned fake_held(struct backend *b);
char *fake_last_reason(struct backend *b);
char *fake_last_refusal(struct backend *b);

#endif

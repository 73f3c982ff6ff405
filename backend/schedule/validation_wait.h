/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of validations here, whoever has asked for them or carried them out, and who waits until what
 * was asked for by then is over.
 */
#ifndef BATCHFS_SCHEDULE_VALIDATION_WAIT_H
#define BATCHFS_SCHEDULE_VALIDATION_WAIT_H

#include "backend/backend.h"
#include "backend/store.h"

struct validation_wait;

/* Without the lock: what the store, the lane or a note tells of a validation. */
void validation_told(struct backend *b, const struct store_validation *v);

/* With the lock: what was found is of a table that is no more. */
void validations_void(struct backend *b, slot model);

/* With the lock: the store tells everything anew; once it has, what it has not told is no more. After the
 * second, validations_answer(). */
void validations_restart(struct backend *b);
void validations_restarted(struct backend *b);

/* The parts are copied. NULL: no memory. */
struct validation_wait *validation_wait_new(const struct backend_part *parts, size_t n,
					    void (*done)(void *ctx, int result), void *ctx);
void validation_wait_free(struct validation_wait *w); /* NULL is fine */
/* It waits for that one, too. -ENOMEM. */
int validation_wait_add(struct validation_wait *w, slot model, int64_t id);
/* With the lock: takes it over. Then, without it, validations_answer(). */
void validation_wait_begin(struct backend *b, struct validation_wait *w);

/* Without the lock: answers those whose validations are over; err: all of them, with that. */
void validations_answer(struct backend *b, int err);

#endif

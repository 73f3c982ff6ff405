/* SPDX-License-Identifier: Apache-2.0 */
/* Validations as a store keeps them: what was asked for, and what came of it (validation.h says what). */
#ifndef BATCHFS_STORE_VALIDATION_H
#define BATCHFS_STORE_VALIDATION_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/calendar.h"
#include "backend/slot.h"

enum validation_state { VALIDATION_ASKED, VALIDATION_DONE, VALIDATION_CANCELLED, VALIDATION_FAILED };

/* A validation of a stretch of a model, as somebody has asked for it. Strings are valid during the call. */
struct store_validation {
	int64_t id; /* permanent, rising */
	slot model;
	struct ordinal_range batches; /* that were asked for; of the whole table VALIDATION_WHOLE */
	enum validation_state state;
	bool mine; /* it is asked for, and this mount is to carry it out */
	int64_t asked_at;
	/* Of one that has ended: */
	int64_t at;
	struct ordinal_range looked; /* what of that existed then */
	int64_t batches_looked, pending, found;
	const char *findings; /* validation.h; "": nothing was found */
	const char *message;  /* why it failed; "" */
};
#define VALIDATION_WHOLE ((struct ordinal_range){0, UINT32_MAX})

static inline bool validation_is_whole(const struct store_validation *v)
{
	return v->batches.end == UINT32_MAX;
}

/* So many that are over are kept of a model, at most; none that another one has replaced. */
#define VALIDATIONS_KEPT 64

#endif

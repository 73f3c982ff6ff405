/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a model's directory and in a selection's, but for the fixed ones. Pure. */
#ifndef BATCHFS_FS_NAME_H
#define BATCHFS_FS_NAME_H

#include "backend/calendar.h"
#include "fs/node.h"

#define BATCH_FILE_NAME_MAX 32 /* a batch's name with its suffix, and the NUL */

/* The fixed names that have a .progress of their own. */
#define NAME_RUN	  ".run"
#define NAME_FULL_REFRESH ".full-refresh"

/* The fixed name that every stretch of batches has one of its own of, and its JSON. */
#define VALIDATE_NAME ".validate"

/* What a selection's links begin with; the model's name follows. */
#define LINK_PREFIX "../"

/* Every batch of a model, as a range that is not clipped. */
#define NAME_EVERY_BATCH ((struct ordinal_range){0, UINT32_MAX})

/* [start_us, end_us): what a name means before it is asked of which model. */
struct span {
	int64_t start_us, end_us;
};

#define SPAN_EVERYTHING ((struct span){INT64_MIN, INT64_MAX})

struct name {
	enum node_kind kind;
	struct span span;	      /* of what names batches */
	struct ordinal_range batches; /* the same, of the model's size; not clipped to what exists */
	unsigned states;	      /* of a set: 1u << enum batch_state, or SET_CHANGED; else 0 */
	uint8_t suffix;		      /* of a single batch */
	size_t len;		      /* of the text, without .sql, .progress or .validate */
};

/*
 * What the text can mean in a model of that batch size; whether it exists is not
 * looked at. -ENOENT: nothing. -EINVAL: a range whose start is not before its end.
 */
int name_parse(enum batch_size size, const char *text, struct name *out);

/*
 * The same in a selection, whose models have batches of different sizes: a single batch is a period like
 * others, and only the span is set. Its models are not looked at.
 */
int name_parse_in_selection(const char *text, struct name *out);

/* The batches of that size that it touches; NAME_EVERY_BATCH of everything. */
struct ordinal_range name_batches(enum batch_size size, struct span span);

/* As it is listed with that suffix. Returns its length. */
size_t name_format(enum batch_size size, ordinal batch, uint8_t suffix, char buf[BATCH_FILE_NAME_MAX]);

#endif

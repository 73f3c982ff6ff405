/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a model's directory. Pure. */
#ifndef BATCHFS_FS_NAME_H
#define BATCHFS_FS_NAME_H

#include "backend/calendar.h"
#include "fs/node.h"

#define BATCH_FILE_NAME_MAX 32 /* a batch's name with its suffix, and the NUL */

/* Every batch of a model, as a range that is not clipped. */
#define NAME_EVERY_BATCH ((struct ordinal_range){0, UINT32_MAX})

struct name {
	enum node_kind kind;
	struct ordinal_range batches; /* of the model's size; not clipped to what exists */
	unsigned states;	      /* of a set: 1u << enum batch_state; else 0 */
	uint8_t suffix;		      /* of a single batch */
	size_t len;		      /* of the text, without .sql or .progress */
};

/*
 * What the text can mean in a model of that batch size; whether it exists is not
 * looked at. -ENOENT: nothing. -EINVAL: a range whose start is not before its end.
 */
int name_parse(enum batch_size size, const char *text, struct name *out);

/* As it is listed with that suffix. Returns its length. */
size_t name_format(enum batch_size size, ordinal batch, uint8_t suffix, char buf[BATCH_FILE_NAME_MAX]);

#endif

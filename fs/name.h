/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a model's directory. Pure. */
#ifndef BATCHFS_FS_NAME_H
#define BATCHFS_FS_NAME_H

#include "backend/calendar.h"
#include "fs/node.h"

#define BATCH_FILE_NAME_MAX 32 /* a batch's name with its suffix, and the NUL */

struct name {
	enum node_kind kind;
	struct ordinal_range batches; /* of the model's size; not clipped to what exists */
	uint8_t suffix;		      /* NODE_BATCH only */
};

/*
 * What the text can mean in a model of that batch size; whether it exists is not
 * looked at. -ENOENT: nothing. -EINVAL: a range whose start is not before its end.
 */
int name_parse(enum batch_size size, const char *text, struct name *out);

/* As it is listed with that suffix. Returns its length. */
size_t name_format(enum batch_size size, ordinal batch, uint8_t suffix, char buf[BATCH_FILE_NAME_MAX]);

#endif

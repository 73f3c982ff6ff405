/* SPDX-License-Identifier: Apache-2.0 */
/* Who reads whom in a catalog, both ways, by slots. */
#ifndef BATCHFS_READS_H
#define BATCHFS_READS_H

#include <stddef.h>

#include "backend/manifest.h"
#include "backend/slot.h"

/* As struct upstream has it, with a slot in the place of a place. */
struct model_read {
	slot model;
	bool windowed;
};

/* By place. */
struct reads {
	size_t *first_read; /* into `read`; first_read[n_models]: how many there are */
	struct model_read *read;
	size_t *first_reader; /* into `reader`, likewise: the same pairs by what is read */
	struct model_read *reader;
};

/* Room for the catalog; false: no memory, and nothing is to be freed. */
bool reads_init(struct reads *r, const struct catalog *c);
void reads_fini(struct reads *r);
/* slots: by place. */
void reads_number(struct reads *r, const struct catalog *c, const slot *slots);

const struct model_read *reads_of(const struct reads *r, int place, size_t *n);
/* `model` of each is the reader, in the order of the catalog. One comes as often as it reads. */
const struct model_read *readers_of(const struct reads *r, int place, size_t *n);

#endif

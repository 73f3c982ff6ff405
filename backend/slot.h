/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of a model while a mount lives. models.h gives one slot for a directory, a relation and a
 * batch size, counting from 0, and never gives it to another model. The place of a model in a catalog is
 * another number: a model that is added to the project shifts all places behind it.
 */
#ifndef BATCHFS_SLOT_H
#define BATCHFS_SLOT_H

#include <stdint.h>

typedef int32_t slot;

#define SLOT_NONE (-1)

/* So many a mount gives in its life, at most: what is kept by slot may be reserved for all of them, and never
 * moves. */
#define SLOTS_MAX (1 << 16)

#endif

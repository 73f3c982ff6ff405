/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_MANIFEST_MENTIONS_H
#define BATCHFS_MANIFEST_MENTIONS_H

#include "backend/manifest/loader.h"

/* In how many shapes a relation can stand in the SQL: with its database, without, and without its schema. */
#define MENTIONS_SHAPES 3

/*
 * Fills `filtered`, `whole` and `mentions` of the model's inputs, and windowed[i]; adds an input for each
 * other shape in which one is read. Both arrays have room for MENTIONS_SHAPES times the inputs. Where it
 * cannot be told which mentions get the window, the model gets a NEED_CLEAR_WINDOWS. The model must have its
 * compiled code.
 */
int load_mentions(struct loader *l, struct model *m, struct input *inputs, bool *windowed);

#endif

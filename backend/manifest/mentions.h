/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_MANIFEST_MENTIONS_H
#define BATCHFS_MANIFEST_MENTIONS_H

#include "backend/manifest/jinja.h"
#include "backend/manifest/loader.h"

/*
 * Fills filtered and mentions of the model's inputs, and windowed[i]; refuses the model where it
 * cannot be told which mentions get the window. The compiled code is there.
 */
int load_mentions(struct loader *l, struct model *m, struct input *inputs, bool *windowed);

/* Adds what the macros that the model calls, its own project's and its packages', make use of. */
int macro_uses(struct loader *l, const struct model *m, struct jinja_uses *uses);

#endif

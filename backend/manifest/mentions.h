/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_MANIFEST_MENTIONS_H
#define BATCHFS_MANIFEST_MENTIONS_H

#include "backend/manifest/jinja.h"
#include "backend/manifest/loader.h"

/*
 * Fills `filtered` and `mentions` of the model's inputs, and windowed[i]. Where it cannot be told which
 * mentions get the window, the model gets a NEED_CLEAR_WINDOWS. The model must have its compiled code.
 */
int load_mentions(struct loader *l, struct model *m, struct input *inputs, bool *windowed);

/* Adds what the macros of the project and its packages make use of, as far as the model calls them. */
int macro_uses(struct loader *l, const struct model *m, struct jinja_uses *uses);

#endif

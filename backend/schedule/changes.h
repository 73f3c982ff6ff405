/* SPDX-License-Identifier: Apache-2.0 */
/* Something has changed: for readers a generation, for the listener a range of batches. */
#ifndef BATCHFS_SCHEDULE_CHANGES_H
#define BATCHFS_SCHEDULE_CHANGES_H

#include "backend/backend.h"

/* Without the lock: tells the listener. */
void changed(struct backend *b, slot model, struct ordinal_range batches);
/* Without the lock: built, or not known any more, so the state of their readers may be another. */
void changed_readers(struct backend *b, slot model, struct ordinal_range batches);
/* With the lock: generation and time move on. */
void touch_model(struct backend *b, slot model);

#endif

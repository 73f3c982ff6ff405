/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences for requests that a freeze, a protection or another full refresh refuses. Pure. */
#ifndef BATCHFS_FREEZE_H
#define BATCHFS_FREEZE_H

#include "backend/store.h"

/* "uid 1000 (chmod) at 2024-09-04T12:00:00Z"; the command only where it is known. */
#define FREEZE_WHO_MAX 80
void freeze_who(uint32_t uid, const char *command, int64_t at, char buf[FREEZE_WHO_MAX]);

/* Fills *err: what is frozen, by whom, since when, how to thaw it. Returns -EPERM. */
int freeze_refuses(struct error *err, const struct model *m, const struct store_freeze *f, ordinal batch);

/* Fills *err: what runs, so that it cannot be frozen. Returns -EBUSY. */
int freeze_busy(struct error *err, const struct model *m, ordinal batch);

/* Fills *err: the table is being made anew, and what is frozen would go with the former one. Returns -EBUSY.
 */
int freeze_too_late(struct error *err, const struct model *m);

/* Why a model is protected, where a chmod has done that: what follows "because". */
#define FREEZE_WHY_MAX (FREEZE_WHO_MAX + 80)
void freeze_why_protected(uint32_t uid, const char *command, int64_t at, char buf[FREEZE_WHY_MAX]);

/*
 * Why a full refresh is refused: the model is protected (-EPERM), a batch of it is frozen (-EPERM), another
 * one is under way (-EBUSY), which `by` has asked for.
 */
int refresh_protected(struct error *err, const struct model *m, const char *because);
int refresh_frozen(struct error *err, const struct model *m, const struct store_freeze *f, ordinal batch);
int refresh_busy(struct error *err, const struct model *m, const struct store_freeze *by);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Which batches hold rows, by `dbt show`. */
#ifndef BATCHFS_DBT_LOOK_H
#define BATCHFS_DBT_LOOK_H

#include "backend/guest.h"

/* Ascending, and none twice. */
void found_sort(struct found_windows *found);

/* Reads the rows that dbt shows of words_look(), none twice. -EINVAL: they are not what was asked for. */
int shown_batches(const char *rows, enum batch_size size, struct found_windows *out, struct error *err);

/* As a member of struct guest_ops. */
int dbt_find(struct guest_worker *w, const struct model *m, struct found_windows *out, struct error *err);

#endif

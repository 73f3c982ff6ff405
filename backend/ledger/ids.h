/* SPDX-License-Identifier: Apache-2.0 */
/* Ids to hand over to the store. */
#ifndef BATCHFS_LEDGER_IDS_H
#define BATCHFS_LEDGER_IDS_H

#include <stddef.h>
#include <stdint.h>

struct id_list {
	int64_t *ids;
	size_t n, size;
};

/* No memory for it: what is not handed over is found again at the next load. */
void ids_add(struct id_list *list, int64_t id);
/* The newest first; returns how many there were, at most n. */
size_t ids_take(struct id_list *list, int64_t *ids, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/ledger/ids.h"

void ids_add(struct id_list *list, int64_t id)
{
	if (list->n == list->size) {
		size_t size = list->size ? 2 * list->size : 64;
		int64_t *ids = realloc(list->ids, size * sizeof *ids);
		if (!ids)
			return;
		list->ids = ids;
		list->size = size;
	}
	list->ids[list->n++] = id;
}

size_t ids_take(struct id_list *list, int64_t *ids, size_t n)
{
	if (n > list->n)
		n = list->n;
	list->n -= n;
	if (n)
		memcpy(ids, list->ids + list->n, n * sizeof *ids);
	return n;
}

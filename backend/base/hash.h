/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uthash, which calls exit() where memory runs out unless it is told otherwise. After a HASH_ADD without
 * memory the element is in no table, and hash_has() says so.
 */
#ifndef BATCHFS_BASE_HASH_H
#define BATCHFS_BASE_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* hh: the element's handle, of which HASH_ADD has just been called. */
#define hash_has(hh) ((hh).tbl != NULL)

#endif

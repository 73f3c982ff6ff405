/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FNV-1a with 64 bits. The hash tells versions of a user's own code apart; it is no defence against somebody
 * who wants two to be equal.
 */
#ifndef BATCHFS_MANIFEST_HASH_H
#define BATCHFS_MANIFEST_HASH_H

#include <stdint.h>

#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

/* Begins with FNV_BASIS. NULL is another text than "". */
uint64_t hash_mix(uint64_t hash, const char *text);

#endif

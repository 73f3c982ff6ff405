/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_FS_REASON_H
#define BATCHFS_FS_REASON_H

#include <stddef.h>

#define REASON_BYTES 1000

/*
 * What somebody wrote into a file, as a reason: its first REASON_BYTES bytes, cut at a character, as
 * valid UTF-8 without control characters (but newline and tab), without white space at its ends. Pure.
 */
void reason_clean(const char *text, size_t len, char out[REASON_BYTES + 1]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4). Pure. */
#ifndef BATCHFS_BASE_SHA256_H
#define BATCHFS_BASE_SHA256_H

#include <stddef.h>

/* In hexadecimal, lower case. */
void sha256_hex(const void *bytes, size_t len, char out[65]);

#endif

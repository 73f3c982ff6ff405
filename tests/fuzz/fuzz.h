/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_TESTS_FUZZ_H
#define BATCHFS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* What libFuzzer and replay.c call, each harness defines: always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

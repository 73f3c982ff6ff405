/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_PROGRAM_H
#define BATCHFS_PROGRAM_H

#include "backend/engine.h"

/*
 * The whole program. `engines` ends with NULL; the first one is named first in help and messages.
 * Returns what main() shall return (enum exit_code), in the daemon as in its parent.
 */
int batchfs_main(int argc, char **argv, const struct engine *const *engines);

#endif

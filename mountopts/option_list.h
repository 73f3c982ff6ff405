/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_OPTION_LIST_H
#define BATCHFS_OPTION_LIST_H

#include "mountopts/options.h"

/*
 * Reads the argument of one -o: "name=value,word,...". In a value, a comma or a backslash is written behind a
 * backslash, as libfuse reads them too. Of two options that contradict each other the last one wins.
 * `helper`: mount(8) has called us, which adds user=NAME for people who are not root.
 */
int option_list_parse(const char *list, bool helper, const struct engine *const *engines, struct options *o,
		      struct error *err);

#endif

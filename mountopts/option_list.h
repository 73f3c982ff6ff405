/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_OPTION_LIST_H
#define BATCHFS_OPTION_LIST_H

#include "mountopts/options.h"

/*
 * One -o: "name=value,word,...". A comma or a backslash in a value is written behind a
 * backslash, as libfuse reads them. The last of two that contradict each other wins.
 * `helper`: mount(8) gave it, which adds user=NAME for people who are not root.
 */
int option_list_parse(const char *list, bool helper, const struct engine *const *engines, struct options *o,
		      struct error *err);

#endif

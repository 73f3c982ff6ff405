/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wildcards as Python's fnmatch and pathlib read them, which dbt uses: `*`, `?`,
 * `[a-z]`, `[!a-z]`; a backslash and a `^` stand for themselves, a character is a
 * whole one of UTF-8, and no case is folded.
 */
#ifndef BATCHFS_SELECTION_GLOB_H
#define BATCHFS_SELECTION_GLOB_H

#include <stdbool.h>
#include <stddef.h>

bool glob_text(const char *pattern, const char *text);

bool glob_span(const char *pattern, const char *pattern_end, const char *text, const char *text_end);

/*
 * A path below the project's root ("" or "." is the root itself), by steps: `**`
 * is any number of directories, and none but directories at the end.
 */
bool glob_path(const char *pattern, const char *path, size_t path_len, bool is_directory);

#endif

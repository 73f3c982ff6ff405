/* SPDX-License-Identifier: Apache-2.0 */
/* What is UTF-8 and what is not: texts come from servers, commands and users. Pure. */
#ifndef BATCHFS_BASE_UTF8_H
#define BATCHFS_BASE_UTF8_H

/* Bytes of the character that the NUL-terminated text begins with; 0: it begins with none (or is empty). */
unsigned utf8_length(const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a byte is to both dialects, whatever the locale: every byte above 127, as UTF-8 has them, is a letter.
 */
#ifndef BATCHFS_WINDOW_SQL_CHARS_H
#define BATCHFS_WINDOW_SQL_CHARS_H

#include <stdbool.h>

static inline bool sql_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool sql_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool sql_is_word_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80);
}

static inline bool sql_is_word(char c)
{
	return sql_is_word_start(c) || sql_is_digit(c) || c == '$';
}

static inline char sql_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

#endif

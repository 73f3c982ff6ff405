/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The length of the UTF-8 character at the start of `len` bytes; 0: it is none. Table 3-7 of the Unicode
 * standard. */
static size_t utf8_length(const unsigned char *s, size_t len)
{
	size_t n = s[0] < 0x80	 ? 1
		   : s[0] < 0xc2 ? 0
		   : s[0] < 0xe0 ? 2
		   : s[0] < 0xf0 ? 3
		   : s[0] < 0xf5 ? 4
				 : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
	    (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

void reason_clean(const char *text, size_t len, char out[REASON_BYTES + 1])
{
	const unsigned char *s = (const unsigned char *)text;
	size_t at = 0, used = 0;

	while (at < len) {
		size_t n = utf8_length(s + at, len - at);
		char plain = 0;
		if (n == 0) {
			plain = '?';
			n = 1;
		} else if (n == 1) {
			bool control = s[at] == 0x7f || (s[at] < 0x20 && s[at] != '\n' && s[at] != '\t');
			plain = control ? ' ' : text[at];
		}
		size_t add = plain ? 1 : n;
		if (used + add > REASON_BYTES)
			break;
		if (plain)
			out[used] = plain;
		else
			memcpy(out + used, text + at, n);
		/* Nothing is kept before the first character. */
		if (used || !is_space(out[0]))
			used += add;
		at += n;
	}
	while (used && is_space(out[used - 1]))
		used--;
	out[used] = '\0';
}

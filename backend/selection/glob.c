/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/selection/glob.h"

#include <stdint.h>
#include <string.h>

/* One character; *p moves behind it. Bytes that are no UTF-8 count one by one. */
static uint32_t take(const char **p, const char *end)
{
	const unsigned char *s = (const unsigned char *)*p;
	size_t more = *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : *s >= 0xc0 ? 1 : 0, i;
	uint32_t c = more ? *s & (0x3fu >> more) : *s;
	for (i = 1; i <= more && *p + i < end && (s[i] & 0xc0) == 0x80; i++)
		c = c << 6 | (s[i] & 0x3fu);
	if (i <= more) {
		c = *s;
		i = 1;
	}
	*p += i;
	return c;
}

/* p stands behind a '['. The ']' that closes it (one in the first place does not), or NULL. */
static const char *class_end(const char *p, const char *end)
{
	if (p < end && *p == '!')
		p++;
	if (p < end && *p == ']')
		p++;
	return p < end ? memchr(p, ']', (size_t)(end - p)) : NULL;
}

static bool class_holds(const char *p, const char *end, uint32_t c)
{
	bool negated = p < end && *p == '!', found = false;
	p += negated;
	while (p < end) {
		uint32_t low = take(&p, end), high = low;
		/* A '-' in the last place is a character like others. */
		if (end - p > 1 && *p == '-') {
			p++;
			high = take(&p, end);
		}
		found = found || (low <= c && c <= high);
	}
	return found != negated;
}

/* One step of the pattern that is no '*'; both move on. */
static bool match_one(const char **pattern, const char *pattern_end, const char **text, const char *text_end)
{
	uint32_t c = take(text, text_end), p = take(pattern, pattern_end);
	if (p == '?')
		return true;
	const char *close = p == '[' ? class_end(*pattern, pattern_end) : NULL;
	if (!close)
		return p == c;
	const char *class = *pattern;
	*pattern = close + 1;
	return class_holds(class, close, c);
}

bool glob_span(const char *pattern, const char *pattern_end, const char *text, const char *text_end)
{
	/* Where to go on when a match fails: behind the last '*', one character later each time. */
	const char *star = NULL, *from = NULL;
	while (text < text_end) {
		if (pattern < pattern_end && *pattern == '*') {
			star = ++pattern;
			from = text;
			continue;
		}
		if (pattern < pattern_end && match_one(&pattern, pattern_end, &text, text_end))
			continue;
		if (!star)
			return false;
		take(&from, text_end);
		pattern = star;
		text = from;
	}
	while (pattern < pattern_end && *pattern == '*')
		pattern++;
	return pattern == pattern_end;
}

bool glob_text(const char *pattern, const char *text)
{
	return glob_span(pattern, pattern + strlen(pattern), text, text + strlen(text));
}

struct step {
	const char *at, *end;
};

/* Takes the next step of a path; "" and "." are no steps. False: there is none left. */
static bool next_step(const char **p, const char *end, struct step *step)
{
	do {
		while (*p < end && **p == '/')
			(*p)++;
		step->at = *p;
		while (*p < end && **p != '/')
			(*p)++;
		step->end = *p;
	} while (step->end - step->at == 1 && *step->at == '.');
	return step->end > step->at;
}

static bool match_step(const struct step *pattern, const struct step *path)
{
	size_t len = (size_t)(pattern->end - pattern->at);
	for (const char *p = pattern->at; p < pattern->end; p++) {
		if (strchr("*?[", *p))
			return glob_span(pattern->at, pattern->end, path->at, path->end);
	}
	return (size_t)(path->end - path->at) == len && memcmp(path->at, pattern->at, len) == 0;
}

bool glob_path(const char *pattern, const char *path, size_t path_len, bool is_directory)
{
	const char *pattern_end = pattern + strlen(pattern), *path_end = path + path_len;
	/* Where to try again: behind the last `**`, one step later each time. */
	const char *star = NULL, *from = NULL;
	for (;;) {
		struct step want, have;
		const char *rest = path;
		bool some = next_step(&pattern, pattern_end, &want);
		bool more = next_step(&rest, path_end, &have);
		if (some && want.end - want.at == 2 && memcmp(want.at, "**", 2) == 0) {
			const char *ahead = pattern;
			if (!next_step(&ahead, pattern_end, &want))
				return is_directory;
			star = pattern;
			from = path;
			continue;
		}
		if (!some && !more)
			return true;
		if (some && more && match_step(&want, &have)) {
			path = rest;
			continue;
		}
		if (!star || !next_step(&from, path_end, &have))
			return false;
		pattern = star;
		path = from;
	}
}

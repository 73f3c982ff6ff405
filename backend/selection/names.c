/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/selection/glob.h"
#include "backend/selection/private.h"

#define WILDCARDS "*?[]"

static bool is_versioned(const struct node *n)
{
	return n->version && strcmp(n->resource_type, "model") == 0;
}

/* How long the part is that begins at p: it ends before a dot, or at the end of the text. */
static size_t part_len(const char *p)
{
	return strcspn(p, ".");
}

/* The last two parts of the pattern, or all of a pattern with one part. */
static const char *last_two(const char *pattern)
{
	const char *p = pattern + strlen(pattern);
	for (int dots = 0; p > pattern; p--) {
		if (p[-1] == '.' && ++dots == 2)
			break;
	}
	return p;
}

/*
 * Whether the pattern ends in the name and the version, as `name.v2` or `name_v2`: dbt puts '_' between them
 * before it compares.
 */
static bool is_name_and_version(const char *pattern, const char *name, const char *version)
{
	const char *p = last_two(pattern);
	size_t len = strlen(name);
	if (strlen(p) != len + 1 + strlen(version))
		return false;
	for (size_t i = 0; p[i]; i++) {
		char want = i < len ? name[i] : i == len ? '_' : version[i - len - 1];
		if ((p[i] == '.' ? '_' : p[i]) != want)
			return false;
	}
	return true;
}

/*
 * Whether the pattern is the model's name: the last part of its fqn, or, if the model has a version, the part
 * before the last.
 */
static bool is_leaf(const char **fqn, size_t n, const char *pattern, bool versioned)
{
	if (!versioned)
		return n && strcmp(fqn[n - 1], pattern) == 0;
	return n > 1 &&
	       (strcmp(fqn[n - 2], pattern) == 0 || is_name_and_version(pattern, fqn[n - 2], fqn[n - 1]));
}

/*
 * Whether `flat` begins with the parts of the pattern. From the first part with a wildcard on, all of the
 * rest must match.
 */
static bool is_prefix(const char *flat, const char *pattern)
{
	for (;;) {
		size_t len = part_len(pattern), have = part_len(flat);
		for (size_t i = 0; i < len; i++) {
			if (strchr(WILDCARDS, pattern[i]))
				return glob_text(pattern, flat);
		}
		if (len != have || memcmp(pattern, flat, len) != 0)
			return false;
		if (!pattern[len])
			return true;
		if (!flat[have])
			return false;
		pattern += len + 1;
		flat += have + 1;
	}
}

static size_t count_parts(const char *text)
{
	size_t n = 1;
	for (; *text; text++)
		n += *text == '.';
	return n;
}

static bool match_parts(const char **fqn, const char *pattern, bool versioned, struct strbuf *room)
{
	size_t n = 0;
	strbuf_clear(room);
	for (; fqn[n]; n++) {
		strbuf_puts(room, n ? "." : "");
		strbuf_puts(room, fqn[n]);
	}
	if (is_leaf(fqn, n, pattern, versioned))
		return true;
	if (!n || count_parts(room->str) < count_parts(pattern))
		return false;
	if (is_prefix(room->str, pattern))
		return true;
	/* Since dbt 1.11.16 a wildcard without a dot also looks at the name alone, however deep it lies. */
	const char *name = versioned && n > 1 ? fqn[n - 2] : fqn[n - 1];
	return strpbrk(pattern, WILDCARDS) && !strchr(pattern, '.') && glob_text(pattern, name);
}

bool match_fqn(const struct node *n, const char *pattern, struct strbuf *room)
{
	/* A pattern may begin with the package or leave it out. */
	return n->fqn[0] && (match_parts(n->fqn, pattern, is_versioned(n), room) ||
			     match_parts(n->fqn + 1, pattern, is_versioned(n), room));
}

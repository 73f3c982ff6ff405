/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/mountinfo.h"

#include <stdio.h>
#include <string.h>

#include "backend/base/cleanup.h"

/*
 * Whether the field of the kernel's table spells the path: the kernel writes blanks, tabs, newlines and
 * backslashes as \ooo.
 */
static bool spells(const char *field, size_t len, const char *path)
{
	const char *end = field + len;
	for (; field < end; path++) {
		char c = *field;
		if (c == '\\' && end - field >= 4) {
			c = (char)(((field[1] - '0') << 6) | ((field[2] - '0') << 3) | (field[3] - '0'));
			field += 4;
		} else {
			field++;
		}
		if (c != *path)
			return false;
	}
	return !*path;
}

bool mountinfo_parse(const char *line, const char *path, struct mount_entry *out)
{
	int at = 0, end = 0;
	struct mount_entry e;
	if (sscanf(line, "%*d %*d %u:%u %*s %n%*s%n", &e.major, &e.minor, &at, &end) < 2 || !end)
		return false;
	if (!spells(line + at, (size_t)(end - at), path))
		return false;
	const char *dash = strstr(line + end, " - ");
	if (!dash || sscanf(dash, " - %63s", e.type) != 1)
		return false;
	const char *user = strstr(dash, "user_id=");
	e.user = -1;
	if (user)
		sscanf(user, "user_id=%ld", &e.user);
	*out = e;
	return true;
}

bool mountinfo_top(const char *path, struct mount_entry *out)
{
	auto_file FILE *f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return false;
	auto_free char *line = NULL;
	size_t size = 0;
	bool found = false;
	/* Of two mounts on one path, the later line is the one that lies on top. */
	while (getline(&line, &size, f) > 0)
		found |= mountinfo_parse(line, path, out);
	return found;
}

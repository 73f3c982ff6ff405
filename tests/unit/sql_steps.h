/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a schema as its .sql file has them, to make what a former version has left. After <cmocka.h>.
 */
#ifndef BATCHFS_TESTS_SQL_STEPS_H
#define BATCHFS_TESTS_SQL_STEPS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends the statements under the lines `-- name: <prefix><version>` and `-- name: <prefix><version>_...` of
 * the file. Returns how many such lines there are. */
static inline int sql_step(const char *file, const char *prefix, int version, char *out, size_t size)
{
	char path[512], line[1024], name[64];
	const char *source = getenv("BATCHFS_SOURCE");
	size_t len = (size_t)snprintf(name, sizeof name, "-- name: %s%d", prefix, version);
	snprintf(path, sizeof path, "%s/%s", source ? source : ".", file);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	int found = 0;
	bool inside = false;
	while (fgets(line, sizeof line, in)) {
		if (strncmp(line, "-- name: ", 9) == 0) {
			inside = strncmp(line, name, len) == 0 && (line[len] == '_' || line[len] == '\n');
			found += inside;
			strncat(out, inside ? ";\n" : "", size - strlen(out) - 1);
		} else if (inside)
			strncat(out, line, size - strlen(out) - 1);
	}
	fclose(in);
	assert_true(strlen(out) + 1 < size);
	return found;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Gives a harness every file of the directories that are named: the corpus as a plain test. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

static int replay_file(const char *path)
{
	auto_file FILE *f = fopen(path, "rb");
	char data[65536];

	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	size_t n = fread(data, 1, sizeof data, f);
	/* A block of its own size, so that a sanitizer sees a read behind its end. */
	auto_free uint8_t *copy = malloc(n + !n);
	if (!copy)
		return -1;
	memcpy(copy, data, n);
	LLVMFuzzerTestOneInput(copy, n);
	return 0;
}

/* How many files there were; negative on failure. */
static int replay_directory(const char *path)
{
	DIR *d = opendir(path);
	int count = 0;

	if (!d) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	for (struct dirent *e = readdir(d); e && count >= 0; e = readdir(d)) {
		char name[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		count = replay_file(name) < 0 ? -1 : count + 1;
	}
	closedir(d);
	return count;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (replay_directory(argv[i]) <= 0)
			return 1;
	return argc > 1 ? 0 : 1;
}

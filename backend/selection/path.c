/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/selection/glob.h"
#include "backend/selection/private.h"

/*
 * dbt looks the pattern up among the root project's files and then compares every
 * node's path, which is relative to its own package. So a package's node is found
 * through the root project's directories of the same name.
 */
static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int project_paths_init(struct project_paths *p, const struct catalog *c, struct error *err)
{
	*p = (struct project_paths){.paths = calloc(2 * c->n_nodes + 1, sizeof(*p->paths))};
	if (!p->paths)
		return error_set(err, ENOMEM, "no memory for a selection");
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = &c->nodes[i];
		if (strcmp(n->package, c->project) != 0)
			continue;
		p->paths[p->n++] = n->path;
		if (n->patch_path)
			p->paths[p->n++] = n->patch_path;
	}
	qsort(p->paths, p->n, sizeof(*p->paths), by_text);
	return 0;
}

void project_paths_fini(struct project_paths *p)
{
	free(p->paths);
	*p = (struct project_paths){0};
}

/* Whether a path of the project begins with this text. */
static bool has_prefix(const struct project_paths *p, const char *text, size_t len)
{
	size_t low = 0, high = p->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strncmp(p->paths[middle], text, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->n && strncmp(p->paths[low], text, len) == 0;
}

static bool is_file(const struct project_paths *p, const char *path)
{
	return bsearch(&path, p->paths, p->n, sizeof(*p->paths), by_text);
}

/* Whether the pattern matches a directory of the project; `len` counts the '/' behind it. */
static bool match_directory(const struct project_paths *p, const char *path, size_t len, const char *pattern)
{
	return glob_path(pattern, path, len, true) && has_prefix(p, path, len);
}

bool match_path(const struct project_paths *p, const struct node *n, const char *pattern)
{
	if (glob_path(pattern, n->path, strlen(n->path), false) && is_file(p, n->path))
		return true;
	if (n->patch_path && glob_path(pattern, n->patch_path, strlen(n->patch_path), false) &&
	    is_file(p, n->patch_path))
		return true;
	if (glob_path(pattern, "", 0, true))
		return true;
	for (const char *slash = n->path; (slash = strchr(slash, '/')); slash++) {
		if (match_directory(p, n->path, (size_t)(slash - n->path) + 1, pattern))
			return true;
	}
	return false;
}

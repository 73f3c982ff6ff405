/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a selection: parse, match each criterion's nodes, walk the graph, combine. */
#ifndef BATCHFS_SELECTION_PRIVATE_H
#define BATCHFS_SELECTION_PRIVATE_H

#include <stdbool.h>

#include "backend/base/strbuf.h"
#include "backend/selection.h"

enum method {
	METHOD_FQN,
	METHOD_TAG,
	METHOD_GROUP,
	METHOD_ACCESS,
	METHOD_SOURCE,
	METHOD_PATH,
	METHOD_FILE,
	METHOD_PACKAGE,
	METHOD_CONFIG,
	METHOD_TEST_NAME,
	METHOD_TEST_TYPE,
	METHOD_RESOURCE_TYPE,
	METHOD_VERSION,
	METHOD_EXPOSURE,
	METHOD_METRIC,
	METHOD_SEMANTIC_MODEL,
	METHOD_SAVED_QUERY,
	METHOD_UNIT_TEST
};

#define DEPTH_ALL  -1
#define DEPTH_NONE 0

/* One criterion, such as `2+config.meta.owner:x+`. The texts belong to it. */
struct criterion {
	enum method method;
	char *arguments; /* what follows the method's name, as in "meta.owner"; "": nothing does */
	char *value;
	bool childrens_parents; /* the criterion begins with `@` */
	int parents, children;	/* how many steps up and down, or DEPTH_ALL */
	bool intersects;	/* it stands behind a comma and is intersected with the criterion before it */
	bool excluded;		/* it stands behind --exclude */
};

struct expression {
	struct criterion *criteria; /* the criteria of one intersection stand side by side */
	size_t n;
	bool included; /* a criterion stands before --exclude; if none does, everything is selected */
};

/* parse.c. -EINVAL, -ENOMEM. */
int parse_expression(const char *text, struct expression *out, struct error *err);
void expression_fini(struct expression *e);

/*
 * names.c: dbt's method "fqn". `room` is for the function's own use; if it is broken afterwards, there was no
 * memory and the answer is void.
 */
bool match_fqn(const struct node *n, const char *pattern, struct strbuf *room);

/* path.c: the paths of the project's files, as far as a manifest tells them */
struct project_paths {
	const char **paths; /* the paths of the root project's files, sorted */
	size_t n;
};

int project_paths_init(struct project_paths *p, const struct catalog *c, struct error *err);
void project_paths_fini(struct project_paths *p);
bool match_path(const struct project_paths *p, const struct node *n, const char *pattern);

/* match.c: sets found[i] for each node that the criterion's method and value name. */
int match_nodes(const struct catalog *c, const struct criterion *criterion, bool *found, struct error *err);

/* graph.c */
struct graph {
	const struct catalog *catalog;
	int *first_child; /* n_nodes + 1: where the children of node i begin in `children` */
	int *children;
	int *queue; /* n_nodes places, for the nodes that a walk still has to visit */
	int *depth; /* n_nodes places: how many steps the walk needed to the node; -1: it has not been reached
		     */
};

int graph_init(struct graph *g, const struct catalog *c, struct error *err);
void graph_fini(struct graph *g);
/* Adds to `set` what can be reached from it in at most so many steps. */
void graph_add_parents(struct graph *g, bool *set, int depth);
void graph_add_children(struct graph *g, bool *set, int depth);
/* Sorts all nodes into g->queue, each behind its parents. Nodes in a circle come last. */
void graph_sort(struct graph *g);

#endif

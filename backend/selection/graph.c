/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/selection/private.h"

#define NOT_REACHED -1

int graph_init(struct graph *g, const struct catalog *c, struct error *err)
{
	size_t edges = 0, n = c->n_nodes;
	for (size_t i = 0; i < n; i++)
		edges += c->nodes[i].n_parents;
	*g = (struct graph){
		.catalog = c,
		.first_child = calloc(n + 2, sizeof(int)),
		.children = calloc(edges + 1, sizeof(int)),
		.queue = calloc(n + 1, sizeof(int)),
		.depth = calloc(n + 1, sizeof(int)),
	};
	if (!g->first_child || !g->children || !g->queue || !g->depth)
		return error_set(err, ENOMEM, "no memory for a selection");
	/*
	 * The children of node i are counted at i + 2. Filling them in moves the start at i + 1 to its end,
	 * which is where it belongs.
	 */
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < c->nodes[i].n_parents; k++)
			g->first_child[c->nodes[i].parents[k] + 2]++;
	}
	for (size_t i = 2; i < n + 2; i++)
		g->first_child[i] += g->first_child[i - 1];
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < c->nodes[i].n_parents; k++)
			g->children[g->first_child[c->nodes[i].parents[k] + 1]++] = (int)i;
	}
	return 0;
}

void graph_fini(struct graph *g)
{
	free(g->first_child);
	free(g->children);
	free(g->queue);
	free(g->depth);
	*g = (struct graph){0};
}

struct neighbours {
	const int *at;
	size_t n;
};

static struct neighbours parents_of(const struct graph *g, int node)
{
	const struct node *n = &g->catalog->nodes[node];
	return (struct neighbours){n->parents, n->n_parents};
}

static struct neighbours children_of(const struct graph *g, int node)
{
	int first = g->first_child[node];
	return (struct neighbours){g->children + first, (size_t)(g->first_child[node + 1] - first)};
}

/*
 * Adds all nodes that can be reached in at most `depth` steps. It goes level by level, so that each node is
 * reached by its shortest way.
 */
static void walk(struct graph *g, bool *set, int depth, struct neighbours (*next)(const struct graph *, int))
{
	size_t head = 0, tail = 0;
	for (size_t i = 0; i < g->catalog->n_nodes; i++) {
		g->depth[i] = set[i] ? 0 : NOT_REACHED;
		if (set[i])
			g->queue[tail++] = (int)i;
	}
	while (head < tail) {
		int node = g->queue[head++];
		if (depth != DEPTH_ALL && g->depth[node] >= depth)
			break;
		struct neighbours to = next(g, node);
		for (size_t k = 0; k < to.n; k++) {
			if (g->depth[to.at[k]] != NOT_REACHED)
				continue;
			g->depth[to.at[k]] = g->depth[node] + 1;
			g->queue[tail++] = to.at[k];
			set[to.at[k]] = true;
		}
	}
}

void graph_add_parents(struct graph *g, bool *set, int depth)
{
	walk(g, set, depth, parents_of);
}

void graph_add_children(struct graph *g, bool *set, int depth)
{
	walk(g, set, depth, children_of);
}

void graph_sort(struct graph *g)
{
	size_t n = g->catalog->n_nodes, head = 0, tail = 0;
	int *waits = g->depth;
	for (size_t i = 0; i < n; i++) {
		waits[i] = (int)g->catalog->nodes[i].n_parents;
		if (!waits[i])
			g->queue[tail++] = (int)i;
	}
	while (head < tail) {
		struct neighbours to = children_of(g, g->queue[head++]);
		for (size_t k = 0; k < to.n; k++) {
			if (--waits[to.at[k]] == 0)
				g->queue[tail++] = to.at[k];
		}
	}
	for (size_t i = 0; i < n && tail < n; i++) {
		if (waits[i] > 0)
			g->queue[tail++] = (int)i;
	}
}

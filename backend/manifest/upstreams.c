/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/steps.h"

struct walk {
	struct loader *l;
	struct model *m;
	unsigned *seen, stamp; /* seen[node] == stamp: visited in this walk */
	int *stack;
	size_t depth;
	struct upstream *out;
	size_t n;
};

/* dbt rebuilds a table by itself, so order ends there; it passes what is only a text of SQL. */
static bool is_transparent(const struct node *n)
{
	return node_is(n, "model") && n->materialized &&
	       (strcmp(n->materialized, "view") == 0 || strcmp(n->materialized, "ephemeral") == 0);
}

static void add(struct walk *w, int place, bool windowed)
{
	for (size_t i = 0; i < w->n; i++) {
		if (w->out[i].place == place) {
			w->out[i].windowed = w->out[i].windowed && windowed;
			return;
		}
	}
	w->out[w->n++] = (struct upstream){.place = place, .windowed = windowed};
}

static void visit(struct walk *w, int node)
{
	if (w->seen[node] == w->stamp)
		return;
	w->seen[node] = w->stamp;
	w->stack[w->depth++] = node;
}

/* Everything that one input leads to. A graph that goes round in circles ends too: each node is visited once.
 */
static void follow(struct walk *w, int node, bool windowed)
{
	w->stamp++;
	visit(w, node);
	while (w->depth) {
		int at = w->stack[--w->depth];
		const struct node *n = &w->l->nodes[at];
		/* What it depends on, or whether it is a view, may not be known. */
		if (w->l->wrong[at] && n->place < 0)
			refuse(w->l, w->m, "It reads %s, which is wrong in the manifest: %s", n->unique_id,
			       w->l->wrong[at]);
		if (n->place >= 0)
			add(w, n->place, windowed);
		else if (is_transparent(n)) {
			for (size_t i = 0; i < n->n_parents; i++)
				visit(w, n->parents[i]);
		}
	}
}

int load_upstreams(struct loader *l, struct model *m, const bool *windowed, unsigned *seen)
{
	auto_free int *stack = calloc(l->n_nodes + 1, sizeof(*stack));
	struct walk w = {.l = l, .m = m, .seen = seen, .stack = stack};
	w.out = calloc(l->n_models + 1, sizeof(*w.out));
	auto_free struct upstream *free_out = w.out;
	if (!stack || !w.out) {
		l->arena->broken = true;
		return loader_check(l);
	}
	w.stamp = seen[l->n_nodes];
	for (size_t i = 0; i < m->n_inputs; i++)
		follow(&w, find_node(l, m->inputs[i].unique_id), windowed[i]);
	seen[l->n_nodes] = w.stamp;
	struct upstream *kept = arena_alloc(l->arena, w.n + 1, sizeof(*kept));
	if (kept && w.n)
		memcpy(kept, w.out, w.n * sizeof(*kept));
	m->upstreams = kept;
	m->n_upstreams = kept ? w.n : 0;
	return loader_check(l);
}

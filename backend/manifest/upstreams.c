/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/steps.h"

struct walk {
	struct loader *l;
	struct model *m;
	unsigned *seen, stamp; /* seen[node] == stamp: this walk has visited the node */
	int *stack;
	size_t depth;
	struct upstream *out;
	size_t n;
};

/*
 * Whether the order of batches passes through the node. A view or an ephemeral is only a text of SQL, so
 * whoever reads it reads what it reads; a table is rebuilt by dbt, and order ends there.
 */
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

/*
 * Adds all microbatch models that one input leads to. Each node is visited once, so a graph with a circle
 * ends too.
 */
static void follow(struct walk *w, int node, bool windowed)
{
	w->stamp++;
	visit(w, node);
	while (w->depth) {
		int at = w->stack[--w->depth];
		const struct node *n = &w->l->nodes[at];
		/*
		 * Of a node that is wrong, it may not be known what it depends on, or whether it is a view.
		 */
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
	auto_free struct upstream *free_out __attribute__((unused)) = w.out;
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

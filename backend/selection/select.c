/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/selection/private.h"

/* Each of these has one flag a node. */
struct sets {
	size_t n;
	bool *one;  /* what the criterion at hand selects */
	bool *word; /* what the intersection at hand selects */
	bool *more; /* a copy of the criterion's own nodes: both sides of `2+x+1` start from x alone */
	bool *included, *excluded;
	bool *all; /* the memory of the others */
};

static int sets_init(struct sets *s, size_t n, struct error *err)
{
	bool *all = calloc(5 * n + 1, sizeof(*all));
	*s = (struct sets){.n = n,
			   .all = all,
			   .one = all,
			   .word = all + n,
			   .more = all + 2 * n,
			   .included = all + 3 * n,
			   .excluded = all + 4 * n};
	return all ? 0 : error_set(err, ENOMEM, "no memory for a selection");
}

static void unite(bool *set, const bool *with, size_t n)
{
	for (size_t i = 0; i < n; i++)
		set[i] |= with[i];
}

static void intersect(bool *set, const bool *with, size_t n)
{
	for (size_t i = 0; i < n; i++)
		set[i] &= with[i];
}

/* Sets s->one to the criterion's nodes and to what its `@` and its `+` add. */
static int evaluate(struct graph *g, const struct criterion *c, struct sets *s, struct error *err)
{
	int r = match_nodes(g->catalog, c, s->one, err);
	if (r)
		return r;
	memcpy(s->more, s->one, s->n);
	if (c->childrens_parents) {
		graph_add_children(g, s->one, DEPTH_ALL);
		graph_add_parents(g, s->one, DEPTH_ALL);
		/* A `+` beside the `@` reaches nothing more. */
		return 0;
	}
	graph_add_parents(g, s->one, c->parents);
	graph_add_children(g, s->more, c->children);
	unite(s->one, s->more, s->n);
	return 0;
}

static int combine(struct graph *g, const struct expression *e, struct sets *s, struct error *err)
{
	for (size_t i = 0; i < s->n; i++)
		s->included[i] = !e->included;
	for (size_t i = 0; i < e->n; i++) {
		const struct criterion *c = &e->criteria[i];
		int r = evaluate(g, c, s, err);
		if (r)
			return r;
		if (c->intersects)
			intersect(s->word, s->one, s->n);
		else
			memcpy(s->word, s->one, s->n);
		if (i + 1 == e->n || !e->criteria[i + 1].intersects)
			unite(c->excluded ? s->excluded : s->included, s->word, s->n);
	}
	for (size_t i = 0; i < s->n; i++)
		s->included[i] = s->included[i] && !s->excluded[i];
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The models of every package, by name. */
struct names {
	const struct node **list;
	size_t n;
};

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct node *const *)a)->name, (*(const struct node *const *)b)->name);
}

static int names_init(struct names *names, const struct catalog *c)
{
	*names = (struct names){.list = calloc(c->n_nodes + 1, sizeof(struct node *))};
	if (!names->list)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_nodes; i++)
		if (strcmp(c->nodes[i].resource_type, "model") == 0)
			names->list[names->n++] = &c->nodes[i];
	qsort(names->list, names->n, sizeof(struct node *), by_name);
	return 0;
}

/* Whether a model of another package has the same name. */
static bool ambiguous(const struct names *names, const struct node *n)
{
	const struct node **end = names->list + names->n;
	const struct node **at = bsearch(&n, names->list, names->n, sizeof(struct node *), by_name);
	while (at && at > names->list && by_name(at - 1, &n) == 0)
		at--;
	for (; at && at < end && by_name(at, &n) == 0; at++)
		if (strcmp((*at)->package, n->package) != 0)
			return true;
	return false;
}

static char *name_model(const struct names *names, const struct node *n)
{
	bool both = ambiguous(names, n);
	char *name;
	int len = asprintf(&name, "%s%s%s%s%s", both ? n->package : "", both ? "." : "", n->name,
			   n->version ? ".v" : "", n->version ? n->version : "");
	return len < 0 ? NULL : name;
}

static int name_all(const struct catalog *c, const bool *set, struct selection *out)
{
	struct names names;
	int r = names_init(&names, c);
	for (size_t i = 0; i < c->n_nodes && r == 0; i++) {
		const struct node *n = &c->nodes[i];
		if (!set[i] || n->place >= 0 || strcmp(n->resource_type, "model") != 0)
			continue;
		char *name = name_model(&names, n);
		if (name)
			out->not_rebuilt[out->n_not_rebuilt++] = name;
		else
			r = -ENOMEM;
	}
	free(names.list);
	qsort(out->not_rebuilt, out->n_not_rebuilt, sizeof(*out->not_rebuilt), by_text);
	return r;
}

static int fill(struct graph *g, const bool *set, struct selection *out)
{
	const struct catalog *c = g->catalog;
	out->nodes = calloc(c->n_nodes + 1, sizeof(*out->nodes));
	out->models = calloc(c->n_models + 1, sizeof(*out->models));
	out->not_rebuilt = calloc(c->n_nodes + 1, sizeof(*out->not_rebuilt));
	if (!out->nodes || !out->models || !out->not_rebuilt)
		return -ENOMEM;
	graph_sort(g);
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = &c->nodes[g->queue[i]];
		if (set[g->queue[i]] && n->place >= 0)
			out->models[out->n_models++] = n->place;
	}
	for (size_t i = 0; i < c->n_nodes; i++)
		if (set[i])
			out->nodes[out->n_nodes++] = (int)i;
	return name_all(c, set, out);
}

int selection_resolve(const struct catalog *c, const char *expression, struct selection *out,
		      struct error *err)
{
	struct expression parsed;
	struct graph graph = {0};
	struct sets sets = {0};
	*out = (struct selection){0};
	int r = parse_expression(expression, &parsed, err);
	if (!r)
		r = graph_init(&graph, c, err);
	if (!r)
		r = sets_init(&sets, c->n_nodes, err);
	if (!r)
		r = combine(&graph, &parsed, &sets, err);
	if (!r && fill(&graph, sets.included, out))
		r = error_set(err, ENOMEM, "no memory for a selection");
	if (r)
		selection_fini(out);
	free(sets.all);
	graph_fini(&graph);
	expression_fini(&parsed);
	return r;
}

void selection_fini(struct selection *s)
{
	for (size_t i = 0; i < s->n_not_rebuilt; i++)
		free(s->not_rebuilt[i]);
	free(s->nodes);
	free(s->models);
	free(s->not_rebuilt);
	*s = (struct selection){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/manifest/mentions.h"
#include "backend/manifest/steps.h"

#define CTE_PREFIX "__dbt__cte__"

static bool is_ephemeral(const struct node *n)
{
	return n->materialized && strcmp(n->materialized, "ephemeral") == 0;
}

/*
 * Finds the CTE that stands for an ephemeral model: some versions of dbt call it after the alias, others
 * after the name.
 */
static void name_cte(struct loader *l, const struct model *m, const struct node *n, struct relation *relation)
{
	const char *name = relation->identifier;
	relation->rendered = arena_printf(l->arena, CTE_PREFIX "%s", name);
	if (relation->rendered && (!m->compiled || !strstr(m->compiled, relation->rendered)))
		relation->rendered = arena_printf(l->arena, CTE_PREFIX "%s", n->name);
	relation->database = NULL;
	relation->schema = arena_strdup(l->arena, "");
	relation->identifier = relation->rendered;
}

static int load_input(struct loader *l, struct model *m, int node, struct input *in)
{
	const struct node *n = &l->nodes[node];
	struct place at = loader_place(l, (size_t)node);
	in->unique_id = n->unique_id;
	in->place = n->place;
	in->ephemeral = is_ephemeral(n);
	int r = load_event_time(l, &at, &in->event_time);
	if (!r)
		r = load_relation(l, &at, &in->relation);
	if (!r && in->ephemeral)
		name_cte(l, m, n, &in->relation);
	else if (!r && !in->relation.rendered)
		refuse(l, m,
		       "The manifest gives no relation_name for %s, which it reads; run `dbt compile` to "
		       "write it again",
		       n->unique_id);
	return r;
}

static bool reads_itself(const struct loader *l, const struct model *m)
{
	const struct node *n = &l->nodes[m->node];
	for (size_t i = 0; i < n->n_parents; i++) {
		if (n->parents[i] == m->node)
			return true;
	}
	if (!m->compiled || !m->relation.rendered)
		return false;
	struct sql_mention some[16];
	size_t max = sizeof(some) / sizeof(*some);
	size_t found = sql_mentions(l->dialect, m->compiled, m->relation.rendered, some, max);
	for (size_t i = 0; i < found && i < max; i++) {
		if (some[i].code)
			return true;
	}
	/*
	 * There are more mentions than we have looked at. Then the model counts as reading itself, which only
	 * builds it more slowly.
	 */
	return found > max;
}

static bool is_relation_id(const char *id)
{
	static const char *const kinds[] = {"model.", "seed.", "snapshot.", "source."};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strncmp(id, kinds[i], strlen(kinds[i])) == 0)
			return true;
	}
	return false;
}

/*
 * Refuses the model where an input is not in the manifest: its event_time is not known then, and every batch
 * would read all of it.
 */
static void check_missing(struct loader *l, struct model *m)
{
	struct place at = loader_place(l, (size_t)m->node);
	json_t *id;
	size_t i;
	json_array_foreach(json_object_get(json_object_get(at.object, "depends_on"), "nodes"), i, id)
	{
		const char *text = json_string_value(id);
		if (text && is_relation_id(text) && find_node(l, text) < 0)
			refuse(l, m,
			       "It depends on %s, which is not in the manifest; run `dbt compile` to write "
			       "it again",
			       text);
	}
}

int load_inputs(struct loader *l, struct model *m, bool **windowed)
{
	const struct node *n = &l->nodes[m->node];
	size_t room = n->n_parents * MENTIONS_SHAPES + 1;
	struct input *inputs = arena_alloc(l->arena, room, sizeof(*inputs));
	*windowed = arena_alloc(l->arena, room, sizeof(**windowed));
	if (!inputs || !*windowed)
		return loader_check(l);
	m->inputs = inputs;
	check_missing(l, m);
	for (size_t i = 0; i < n->n_parents; i++) {
		struct input *in = &inputs[m->n_inputs];
		/* A model may depend on what holds no rows, a function of the warehouse say. */
		if (!node_is_relation(&l->nodes[n->parents[i]]))
			continue;
		int r = load_input(l, m, n->parents[i], in);
		if (r == -EINVAL)
			*in = (struct input){0};
		else
			m->n_inputs++;
		r = refuse_wrong(l, m, r);
		if (r)
			return r;
	}
	m->reads_itself = reads_itself(l, m);
	return m->compiled ? load_mentions(l, m, inputs, *windowed) : loader_check(l);
}

/* Whether the input is read through a window, in this shape of its name or in another. */
static bool is_filtered(const struct model *m, const struct input *in)
{
	for (size_t i = 0; i < m->n_inputs; i++) {
		if (m->inputs[i].filtered && strcmp(m->inputs[i].unique_id, in->unique_id) == 0)
			return true;
	}
	return false;
}

bool model_loses_outside(const struct model *m)
{
	if (m->outside_dropped || m->reads_itself || m->n_inputs == 0)
		return false;
	for (size_t i = 0; i < m->n_inputs; i++) {
		if (m->inputs[i].whole || !is_filtered(m, &m->inputs[i]))
			return false;
	}
	return true;
}

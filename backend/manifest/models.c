/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/manifest/steps.h"

#define NAME_MAX_BYTES                                                                                       \
	200 /* leaves room in the 255 bytes of a name for what editors and rsync add for a temporary one */

static bool is_microbatch(const struct loader *l, size_t node)
{
	const json_t *config = json_object_get(l->json[node], "config");
	const char *strategy = json_string_value(json_object_get(config, "incremental_strategy"));
	const char *materialized = l->nodes[node].materialized;
	return node_is(&l->nodes[node], "model") && materialized &&
	       strcmp(materialized, "incremental") == 0 && strategy && strcmp(strategy, "microbatch") == 0;
}

/* Why no directory can have this name; NULL: one can. */
static const char *bad_name(const char *dir, bool nul)
{
	if (nul)
		return "has a NUL byte in it";
	if (!*dir)
		return "is empty";
	if (strchr(dir, '/'))
		return "has a '/' in it";
	if (dir[0] == '.')
		return "starts with a dot, as batchfs's own files do";
	if (strlen(dir) > NAME_MAX_BYTES)
		return "is longer than 200 bytes";
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct model *)a)->name, ((const struct model *)b)->name);
}

static int by_dir(const void *a, const void *b)
{
	const struct model *x = a, *y = b;
	int order = strcmp(x->dir, y->dir);
	return order ? order : strcmp(x->unique_id, y->unique_id);
}

/* Whether a model of another package has the same name. The models are sorted by name. */
static bool ambiguous(const struct loader *l, size_t i)
{
	const struct model *m = &l->models[i];
	for (size_t k = i; k-- > 0 && strcmp(l->models[k].name, m->name) == 0;) {
		if (strcmp(l->models[k].package, m->package) != 0)
			return true;
	}
	for (size_t k = i + 1; k < l->n_models && strcmp(l->models[k].name, m->name) == 0; k++) {
		if (strcmp(l->models[k].package, m->package) != 0)
			return true;
	}
	return false;
}

static void name_directories(struct loader *l)
{
	qsort(l->models, l->n_models, sizeof(*l->models), by_name);
	for (size_t i = 0; i < l->n_models; i++) {
		struct model *m = &l->models[i];
		bool both = ambiguous(l, i);
		m->dir = arena_printf(l->arena, "%s%s%s%s%s", both ? m->package : "", both ? "." : "",
				      m->name, m->version ? ".v" : "", m->version ? m->version : "");
	}
}

/* Takes out the models whose names no directory can have. */
static void leave_out(struct loader *l)
{
	size_t kept = 0;
	qsort(l->models, l->n_models, sizeof(*l->models), by_dir);
	for (size_t i = 0; i < l->n_models; i++) {
		struct model *m = &l->models[i];
		const json_t *name = json_object_get(l->json[m->node], "name");
		const char *why = bad_name(m->dir, strlen(m->name) != json_string_length(name));
		if (!why && kept && strcmp(l->models[kept - 1].dir, m->dir) == 0)
			why = "is the name of another model's directory";
		if (why)
			log_warning(l->log, "%s: model %s is left out: its name, '%s', %s", l->root.file,
				    m->unique_id, m->dir, why);
		else
			l->models[kept++] = *m;
	}
	l->n_models = kept;
}

int load_models(struct loader *l)
{
	size_t most = 0;
	bool run_hooks = false;
	for (size_t i = 0; i < l->n_nodes; i++) {
		most += is_microbatch(l, i);
		run_hooks |= node_is(&l->nodes[i], "operation");
	}
	l->models = arena_alloc(l->arena, most + 1, sizeof(*l->models));
	for (size_t i = 0; l->models && i < l->n_nodes; i++) {
		const struct node *n = &l->nodes[i];
		if (!is_microbatch(l, i))
			continue;
		struct model *m = &l->models[l->n_models++];
		m->node = (int)i;
		m->name = n->name;
		m->package = n->package;
		m->unique_id = n->unique_id;
		m->version = n->version;
		m->original_path = n->path;
		m->tags = n->tags;
		m->fqn = n->fqn;
		m->strategy = "microbatch";
		m->run_hooks = run_hooks;
	}
	if (!l->arena->broken)
		name_directories(l);
	int r = loader_check(l);
	if (r)
		return r;
	leave_out(l);
	for (size_t i = 0; i < l->n_models; i++)
		l->nodes[l->models[i].node].place = (int)i;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps from JSON to catalog. Each returns 0 or -errno with the loader's
 * error filled; what they make lies in the catalog's arena.
 */
#ifndef BATCHFS_MANIFEST_STEPS_H
#define BATCHFS_MANIFEST_STEPS_H

#include <stdio.h>

#include "backend/manifest/loader.h"

/* A catalog and what frees it. */
struct owned_catalog {
	struct catalog catalog; /* first: catalog_free() gets its address */
	struct arena arena;
};

/* JSON document -> catalog. `path` is for messages; compiled files are looked for beside it. */
int catalog_from_json(json_t *root, const char *path, const struct log *log, struct catalog **out,
		      struct error *err);

/* nodes.c */
int load_nodes(struct loader *l);

/* selectable.c: what only selection wants of a node */
int load_selectable(struct loader *l, const struct place *at, struct node *n);

/* models.c: which nodes are microbatch models, and their directories' names */
int load_models(struct loader *l);

/* config.c: what stands in the node itself */
int load_config(struct loader *l, struct model *m);

/* compiled.c */
int load_compiled(struct loader *l, struct model *m);

/* needs.c: what the model's config and its Jinja ask for */
int load_needs(struct loader *l, struct model *m);

/* relation.c: a rendered name must say which table it is */
int load_relation(struct loader *l, const struct place *at, struct relation *out);

/* inputs.c: inputs with their mentions; windowed[i]: everything that is read of inputs[i] lies in the window
 */
int load_inputs(struct loader *l, struct model *m, bool **windowed);

/* upstreams.c: refuses, too, what reads a node that is wrong. seen: a zeroed stamp for each node, kept
 * between calls. */
int load_upstreams(struct loader *l, struct model *m, const bool *windowed, unsigned *seen);

/* syntax.c. f: the file that jansson read, from its start. -EINVAL. */
int syntax_error(const char *file, FILE *f, const json_error_t *wrong, struct error *err);

/* hash.c */
void hash_model(struct model *m);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps from JSON to catalog. Each returns 0, or -errno with the loader's error filled. All that they
 * make lies in the catalog's arena.
 */
#ifndef BATCHFS_MANIFEST_STEPS_H
#define BATCHFS_MANIFEST_STEPS_H

#include <stdio.h>

#include "backend/manifest/jinja.h"
#include "backend/manifest/loader.h"

/* A catalog with the memory that it lies in. */
struct owned_catalog {
	struct catalog catalog; /* stands first, because catalog_free() is given its address */
	struct arena arena;
};

/*
 * Makes the catalog from the JSON document. `path` is the manifest's file: messages name it, and compiled
 * files are looked for beside it.
 */
int catalog_from_json(json_t *root, const char *path, const struct log *log, struct catalog **out,
		      struct error *err);

/* nodes.c: the graph, with the parents of each node */
int load_nodes(struct loader *l);

/* selectable.c: what only selection wants of a node */
int load_selectable(struct loader *l, const struct place *at, struct node *n);

/* models.c: which nodes are microbatch models, and their directories' names */
int load_models(struct loader *l);

/* config.c: what stands in the node itself */
int load_config(struct loader *l, struct model *m);

/* made_of.c: m->made_of; after load_nodes() */
int load_made_of(struct loader *l, struct model *m);

/* compiled.c: the compiled SQL, from the manifest or from the file that it names */
int load_compiled(struct loader *l, struct model *m);

/* needs.c: what the model's config and its Jinja ask for */
int load_needs(struct loader *l, struct model *m);

/* event_time.c: the event_time of a node, quoted where dbt quotes it; NULL: it has none */
int load_event_time(struct loader *l, const struct place *at, const char **out);

/* hooks.c: the hooks of the model and its folders */
int load_hooks(struct loader *l, struct model *m);

/* columns.c: what the YAML says of the columns, as DDL */
int load_columns(struct loader *l, struct model *m);

/* target.c: what else the config says of the target: indexes, rights, comments */
int load_target_config(struct loader *l, struct model *m);

/* relation.c: the name of a table, taken apart. -EINVAL: the name does not say which table it is */
int load_relation(struct loader *l, const struct place *at, struct relation *out);

/* One part of the name of what nodes[node] makes, as dbt has it for Jinja: without quotes. "": it has none.
 */
const char *relation_part(const struct loader *l, size_t node, enum jinja_chain_kind part);

/* The rendered name with only these parts of it (PART_DATABASE ...): itself, or a text in the arena. */
const char *relation_including(struct loader *l, const char *rendered, unsigned parts);

/*
 * inputs.c: the inputs with their mentions. windowed[i]: all that the model reads of inputs[i] lies in the
 * window
 */
int load_inputs(struct loader *l, struct model *m, bool **windowed);

/*
 * upstreams.c: the models whose batches the model reads. Refuses the model where it reads a node that is
 * wrong. `seen` holds a number for each node and one more; all are zero before the first model, and the
 * caller keeps them from model to model.
 */
int load_upstreams(struct loader *l, struct model *m, const bool *windowed, unsigned *seen);

/*
 * syntax.c: the error of a document that is no JSON. jansson has read the file f, which is read again from
 * its start. Returns -EINVAL.
 */
int syntax_error(const char *file, FILE *f, const json_error_t *wrong, struct error *err);

/* hash.c: fills the model's code */
void hash_model(struct model *m);

#endif

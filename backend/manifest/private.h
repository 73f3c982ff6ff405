/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps from JSON to catalog. Each returns 0 or -errno with the loader's
 * error filled; what they make lies in the catalog's arena.
 */
#ifndef BATCHFS_MANIFEST_PRIVATE_H
#define BATCHFS_MANIFEST_PRIVATE_H

#include <stdio.h>

#include "backend/manifest.h"
#include "backend/manifest/arena.h"
#include "backend/manifest/json.h"
#include "backend/window_sql.h"

/* The manifest's objects that hold nodes of the graph. */
enum node_map {
	MAP_NODES,
	MAP_SOURCES,
	MAP_EXPOSURES,
	MAP_METRICS,
	MAP_SEMANTIC_MODELS,
	MAP_SAVED_QUERIES,
	MAP_UNIT_TESTS,
	MAP_FUNCTIONS,
	MAP_COUNT
};

struct loader {
	struct catalog *catalog;
	struct arena *arena; /* the catalog's */
	const struct log *log;
	const char *dir; /* that holds the manifest */
	enum sql_dialect dialect;
	struct place root, maps[MAP_COUNT];
	json_t *macros; /* NULL: the manifest has none */
	struct node *nodes;
	json_t **json;	    /* of nodes[i]; freed once loaded */
	const char **wrong; /* of nodes[i]: what cannot be read of it, a sentence; NULL: nothing */
	size_t n_nodes;
	struct model *models;
	size_t n_models;
};

/* A catalog and what frees it. */
struct owned_catalog {
	struct catalog catalog; /* first: catalog_free() gets its address */
	struct arena arena;
};

/* JSON document -> catalog. `path` is for messages; compiled files are looked for beside it. */
int catalog_from_json(json_t *root, const char *path, const struct log *log, struct catalog **out,
		      struct error *err);

/* 0, or -ENOMEM with the error set once the arena is broken. */
int loader_check(const struct loader *l);

/* Where nodes[i] stands in the document. */
struct place loader_place(const struct loader *l, size_t node);

/* nodes.c */
int load_nodes(struct loader *l);
int find_node(const struct loader *l, const char *unique_id); /* -1: not in the graph */
bool node_is(const struct node *n, const char *resource_type);
bool node_is_relation(const struct node *n); /* a model can read rows of it */

/* selectable.c: what only selection wants of a node */
int load_selectable(struct loader *l, const struct place *at, struct node *n);

/* models.c: which nodes are microbatch models, and their directories' names */
int load_models(struct loader *l);

/* config.c: what stands in the node itself */
int load_config(struct loader *l, struct model *m);

/* compiled.c */
int load_compiled(struct loader *l, struct model *m);

/* refuse.c: what dbt would do and we do not */
int check_features(struct loader *l, struct model *m);

/* Adds a sentence without its full stop to why_not; the same one only once. */
void refuse(struct loader *l, struct model *m, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What a getter has found wrong (-EINVAL) costs this model alone: a reason of its why_not, and 0. */
int refuse_wrong(struct loader *l, struct model *m, int r);

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

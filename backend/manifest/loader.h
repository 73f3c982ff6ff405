/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tools of every step from JSON to catalog: what is being loaded, and how a step says what is wrong with
 * one model without failing for the others. Includes no step, so that the arrows inside manifest/ run one
 * way.
 */
#ifndef BATCHFS_MANIFEST_LOADER_H
#define BATCHFS_MANIFEST_LOADER_H

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

/* 0, or -ENOMEM with the error set once the arena is broken. */
int loader_check(const struct loader *l);

/* Where nodes[i] stands in the document. */
struct place loader_place(const struct loader *l, size_t node);

/* The resource type, in the graph's own copy of its name, of what may stand in this map; NULL: the map holds
 * none of that type, or the graph leaves the type out. */
const char *graph_type_in(enum node_map map, const char *resource_type);

/* Index of the node, or -1: it is not in the graph. Once load_nodes() has sorted them. */
int find_node(const struct loader *l, const char *unique_id);
bool node_is(const struct node *n, const char *resource_type);
bool node_is_relation(const struct node *n); /* a model can read rows of it */

/* Adds a sentence without its full stop to what is wrong with the model; the same one only once. */
void refuse(struct loader *l, struct model *m, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* What a getter has found wrong (-EINVAL) costs this model alone: it is added to what is wrong with it. 0. */
int refuse_wrong(struct loader *l, struct model *m, int r);

/* Adds a need behind those that the model has. The strings are copied, NULL counts as "". */
void need(struct loader *l, struct model *m, enum need_kind kind, const char *where, const char *text);

#endif

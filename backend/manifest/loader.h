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

/* A macro that takes the place of one of dbt's. */
struct own_macro {
	const char *name, *file;
};

struct loader {
	struct catalog *catalog;
	struct arena *arena; /* belongs to the catalog */
	const struct log *log;
	const struct sql_memory *memory; /* NULL: there is none */
	int64_t written_at;		 /* us: the manifest */
	const char *dir;		 /* the directory that holds the manifest */
	enum sql_dialect dialect;
	struct place root, maps[MAP_COUNT];
	json_t *macros;			/* NULL: the manifest has none */
	struct own_macro *own_strategy; /* ends with a name that is NULL */
	struct node *nodes;
	json_t **json;	    /* json[i] is what nodes[i] is made from; the array is freed when loading ends */
	const char **wrong; /* wrong[i] is a sentence: what of nodes[i] cannot be understood; NULL: nothing */
	size_t n_nodes;
	struct model *models;
	size_t n_models;
};

/* -ENOMEM, with the error set, once an allocation in the arena has failed; else 0. */
int loader_check(const struct loader *l);

/* The place of nodes[i] in the document. */
struct place loader_place(const struct loader *l, size_t node);

/* The resource type, in the graph's own copy of its name, of what may stand in this map; NULL: the map holds
 * none of that type, or the graph leaves the type out. */
const char *graph_type_in(enum node_map map, const char *resource_type);

/* The place of the node in `nodes`; -1: it is not in the graph. Only after load_nodes(), which sorts them. */
int find_node(const struct loader *l, const char *unique_id);
bool node_is(const struct node *n, const char *resource_type);
bool node_is_relation(const struct node *n); /* whether a model can read rows of the node */

/*
 * Adds a sentence, without its full stop, to what is wrong with the model. A sentence that is there already
 * is not added again.
 */
void refuse(struct loader *l, struct model *m, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/*
 * For the result of a getter: -EINVAL costs this model alone. The error becomes a sentence of what is wrong
 * with the model, and the step goes on with 0. Any other result is returned.
 */
int refuse_wrong(struct loader *l, struct model *m, int r);

/* Adds a need behind those that the model has. The strings are copied, NULL counts as "". */
void need(struct loader *l, struct model *m, enum need_kind kind, const char *where, const char *text);

/* The same, because of these words in `where`; at most 60 bytes of them are kept. */
void need_for_words(struct loader *l, struct model *m, enum need_kind kind, const char *where,
		    const char *text, const char *words, size_t len);

#endif

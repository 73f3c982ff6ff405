/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/loader.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"

#define WORDS_MAX 60

int loader_check(const struct loader *l)
{
	return l->arena->broken ? error_set(l->root.err, ENOMEM, "%s: no memory to load it", l->root.file)
				: 0;
}

static const struct {
	const char *name;
	enum node_map map;
	bool relation;
} graph_types[] = {
	{"model", MAP_NODES, true},
	{"seed", MAP_NODES, true},
	{"snapshot", MAP_NODES, true},
	{"test", MAP_NODES, false},
	{"analysis", MAP_NODES, false},
	{"operation", MAP_NODES, false},
	{"sql_operation", MAP_NODES, false},
	{"source", MAP_SOURCES, true},
	{"exposure", MAP_EXPOSURES, false},
	{"metric", MAP_METRICS, false},
	{"semantic_model", MAP_SEMANTIC_MODELS, false},
	{"saved_query", MAP_SAVED_QUERIES, false},
	{"unit_test", MAP_UNIT_TESTS, false},
	{"function", MAP_FUNCTIONS, false},
};
#define GRAPH_TYPES (sizeof(graph_types) / sizeof(*graph_types))

bool node_is(const struct node *n, const char *resource_type)
{
	return strcmp(n->resource_type, resource_type) == 0;
}

/* The place of the resource type in graph_types; GRAPH_TYPES: the graph leaves nodes of that type out. */
static size_t find_type(const char *resource_type)
{
	size_t i = 0;
	while (i < GRAPH_TYPES && strcmp(graph_types[i].name, resource_type) != 0)
		i++;
	return i;
}

bool node_is_relation(const struct node *n)
{
	return graph_types[find_type(n->resource_type)].relation;
}

struct place loader_place(const struct loader *l, size_t node)
{
	const struct place *up = &l->maps[graph_types[find_type(l->nodes[node].resource_type)].map];
	return place_under(up, l->nodes[node].unique_id, l->json[node]);
}

const char *graph_type_in(enum node_map map, const char *resource_type)
{
	size_t i = find_type(resource_type);
	return i < GRAPH_TYPES && graph_types[i].map == map ? graph_types[i].name : NULL;
}

static int compare_id(const void *unique_id, const void *node)
{
	return strcmp(unique_id, ((const struct node *)node)->unique_id);
}

int find_node(const struct loader *l, const char *unique_id)
{
	const struct node *found = bsearch(unique_id, l->nodes, l->n_nodes, sizeof(*l->nodes), compare_id);
	return found ? (int)(found - l->nodes) : -1;
}

void refuse(struct loader *l, struct model *m, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *sentence = arena_vprintf(l->arena, fmt, args);
	va_end(args);
	if (!sentence || (m->wrong && strstr(m->wrong, sentence)))
		return;
	m->wrong = m->wrong ? arena_printf(l->arena, "%s. %s", m->wrong, sentence) : sentence;
}

int refuse_wrong(struct loader *l, struct model *m, int r)
{
	if (r != -EINVAL)
		return r;
	refuse(l, m, "%s", l->root.err->text);
	*l->root.err = (struct error){0};
	return loader_check(l);
}

/* The words with one blank for each white space in and none around them, cut where they are long. */
static const char *one_line(struct loader *l, const char *words, size_t len)
{
	auto_strbuf out = STRBUF_INIT;
	for (size_t i = 0; i < len && out.len < WORDS_MAX; i++) {
		bool space = isspace((unsigned char)words[i]);
		if (!space)
			strbuf_putc(&out, words[i]);
		else if (out.len && out.str[out.len - 1] != ' ')
			strbuf_putc(&out, ' ');
	}
	size_t kept = out.len;
	while (kept && (out.str[kept - 1] == ' ' || (out.len == WORDS_MAX && (out.str[kept - 1] & 0x80))))
		kept--;
	return arena_strndup(l->arena, out.str, kept);
}

void need_for_words(struct loader *l, struct model *m, enum need_kind kind, const char *where,
		    const char *text, const char *words, size_t len)
{
	const struct need **end = &m->needs;
	while (*end)
		end = (const struct need **)&(*end)->next;
	struct need *n = arena_alloc(l->arena, 1, sizeof(*n));
	const char *kept_where = arena_intern(l->arena, where ? where : ""),
		   *kept_text = arena_strdup(l->arena, text ? text : ""),
		   *kept_words = words ? one_line(l, words, len) : "";
	if (!n || !kept_where || !kept_text || !kept_words)
		return;
	*n = (struct need){.kind = kind, .where = kept_where, .text = kept_text, .words = kept_words};
	*end = n;
}

void need(struct loader *l, struct model *m, enum need_kind kind, const char *where, const char *text)
{
	need_for_words(l, m, kind, where, text, NULL, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/selection/glob.h"
#include "backend/selection/private.h"

static bool node_is(const struct node *n, const char *resource_type)
{
	return strcmp(n->resource_type, resource_type) == 0;
}

/* Whether the node stands among the manifest's "nodes", the only ones that some methods look at. */
static bool is_parsed(const struct node *n)
{
	static const char *const types[] = {"model",	"seed",	     "snapshot",     "test",
					    "analysis", "operation", "sql_operation"};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (node_is(n, types[i]))
			return true;
	}
	return false;
}

static bool match_tag(const struct node *n, const char *pattern)
{
	for (const char **tag = n->tags; *tag; tag++) {
		if (glob_text(pattern, *tag))
			return true;
	}
	return false;
}

static bool match_group(const struct node *n, const char *pattern)
{
	static const char key[] = "\ngroup=";
	if (!is_parsed(n) && !node_is(n, "metric"))
		return false;
	const char *group = strstr(n->config, key);
	if (!group)
		return false;
	group += sizeof(key) - 1;
	const char *end = strchrnul(group, '\n');
	return end > group && glob_span(pattern, pattern + strlen(pattern), group, end);
}

/* Whether the text matches the next part of a dotted pattern; *p moves behind the part's dot. */
static bool match_part(const char **p, const char *text)
{
	const char *part = *p, *end = strchrnul(part, '.');
	*p = *end ? end + 1 : end;
	return glob_span(part, end, text, text + strlen(text));
}

static size_t count_dots(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == '.';
	return n;
}

/* The pattern is SOURCE, SOURCE.TABLE or PACKAGE.SOURCE.TABLE. */
static bool match_source(const struct node *n, const char *pattern)
{
	size_t dots = count_dots(pattern);
	if (!node_is(n, "source"))
		return false;
	if (dots == 2 && !match_part(&pattern, n->package))
		return false;
	return match_part(&pattern, n->source_name) && (!dots || match_part(&pattern, n->name));
}

/* The pattern is NAME or PACKAGE.NAME. */
static bool match_named(const struct node *n, const char *resource_type, const char *pattern)
{
	if (!node_is(n, resource_type))
		return false;
	return (!count_dots(pattern) || match_part(&pattern, n->package)) && match_part(&pattern, n->name);
}

/* The pattern is the file's name, with its ending or without. */
static bool match_file(const struct node *n, const char *pattern)
{
	const char *slash = strrchr(n->path, '/'), *name = slash ? slash + 1 : n->path;
	const char *end = name + strlen(name), *dot = strrchr(name, '.');
	const char *stem_end = dot && dot > name && dot[1] ? dot : end;
	const char *pattern_end = pattern + strlen(pattern);
	return glob_span(pattern, pattern_end, name, end) || glob_span(pattern, pattern_end, name, stem_end);
}

static bool match_config(const struct node *n, const char *path, const char *value, struct strbuf *room)
{
	if (!is_parsed(n) && !node_is(n, "source"))
		return false;
	strbuf_clear(room);
	strbuf_printf(room, "\n%s=%s\n", path, value);
	/* dbt folds the case of a test's severity, and of no other text. */
	if (strcmp(path, "severity") == 0 ? strcasestr(n->config, room->str) : strstr(n->config, room->str))
		return true;
	bool yes = strcasecmp(value, "true") == 0;
	if (!yes && strcasecmp(value, "false") != 0)
		return false;
	strbuf_clear(room);
	strbuf_printf(room, "\n%s!%s\n", path, yes ? "true" : "false");
	return strstr(n->config, room->str);
}

/* The value is a type of test. As in dbt, a part of its word is enough. */
static bool match_test_type(const struct node *n, const char *value)
{
	if (strcmp(value, "generic") == 0 || strcmp(value, "schema") == 0)
		return node_is(n, "test") && n->test;
	if (strstr("data", value))
		return node_is(n, "test");
	if (strstr("singular", value))
		return node_is(n, "test") && !n->test;
	return node_is(n, "unit_test");
}

static bool match_test_name(const struct node *n, const char *pattern)
{
	if (node_is(n, "unit_test"))
		return glob_text(pattern, n->name);
	return n->test && glob_text(pattern, n->test);
}

static bool match_version(const struct node *n, const char *value)
{
	static const char *const values[] = {
		[VERSION_NONE] = "none", [VERSION_LATEST] = "latest",
		[VERSION_OLD] = "old",	 [VERSION_PRERELEASE] = "prerelease",
		[VERSION_UNCLEAR] = "",
	};
	return node_is(n, "model") && strcmp(values[n->age], value) == 0;
}

static bool match_node(const struct catalog *c, const struct node *n, const struct criterion *what,
		       struct strbuf *room)
{
	const char *value = what->value;
	switch (what->method) {
	case METHOD_FQN:
		return !node_is(n, "source") && match_fqn(n, value, room);
	case METHOD_TAG:
		return match_tag(n, value);
	case METHOD_GROUP:
		return match_group(n, value);
	case METHOD_ACCESS:
		return n->access && strcmp(n->access, value) == 0;
	case METHOD_SOURCE:
		return match_source(n, value);
	case METHOD_FILE:
		return match_file(n, value);
	case METHOD_PACKAGE:
		return glob_text(strcmp(value, "this") == 0 ? c->project : value, n->package);
	case METHOD_CONFIG:
		return match_config(n, what->arguments, value, room);
	case METHOD_TEST_NAME:
		return match_test_name(n, value);
	case METHOD_TEST_TYPE:
		return match_test_type(n, value);
	case METHOD_RESOURCE_TYPE:
		return node_is(n, value);
	case METHOD_VERSION:
		return match_version(n, value);
	case METHOD_EXPOSURE:
		return match_named(n, "exposure", value);
	case METHOD_METRIC:
		return match_named(n, "metric", value);
	case METHOD_SEMANTIC_MODEL:
		return match_named(n, "semantic_model", value);
	case METHOD_SAVED_QUERY:
		return match_named(n, "saved_query", value);
	case METHOD_UNIT_TEST:
		return match_named(n, "unit_test", value);
	case METHOD_PATH:
		break;
	}
	return false;
}

int match_nodes(const struct catalog *c, const struct criterion *criterion, bool *found, struct error *err)
{
	auto_strbuf room = STRBUF_INIT;
	struct project_paths paths;
	for (size_t i = 0; i < c->n_nodes; i++)
		found[i] = match_node(c, &c->nodes[i], criterion, &room);
	if (strbuf_broken(&room))
		return error_set(err, ENOMEM, "no memory for a selection");
	if (criterion->method != METHOD_PATH)
		return 0;
	int r = project_paths_init(&paths, c, err);
	for (size_t i = 0; !r && i < c->n_nodes; i++)
		found[i] = match_path(&paths, &c->nodes[i], criterion->value);
	project_paths_fini(&paths);
	return r;
}

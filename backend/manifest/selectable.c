/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/strbuf.h"
#include "backend/manifest/steps.h"

#define VERSION_TEXT 64

/*
 * Whether dbt's `config.KEY` can name this key: dbt lets only these characters through, and a dot goes down
 * one level.
 */
static bool is_word(const char *key)
{
	const char *p = key;
	while (isalnum((unsigned char)*p) || *p == '_' || (unsigned char)*p >= 0x80)
		p++;
	return p > key && !*p;
}

/*
 * group: takes wildcards, so that any text there can be matched. The begin is a
 * time in dbt's memory, which equals no text.
 */
static bool is_sayable(const char *path, const json_t *text)
{
	if (strcmp(path, "begin") == 0)
		return false;
	const char *s = json_string_value(text);
	size_t len = json_string_length(text);
	if (strlen(s) != len || strchr(s, '\n'))
		return false;
	return strcmp(path, "group") == 0 || !strpbrk(s, " ,");
}

static void put_leaf(const char *path, const json_t *value, struct strbuf *out)
{
	if (json_is_string(value) && is_sayable(path, value))
		strbuf_printf(out, "%s=%s\n", path, json_string_value(value));
	else if (json_is_boolean(value))
		strbuf_printf(out, "%s!%s\n", path, json_is_true(value) ? "true" : "false");
}

static void flatten(struct loader *l, const char *path, json_t *value, struct strbuf *out)
{
	const char *key;
	json_t *item;
	size_t i;
	json_array_foreach(value, i, item) put_leaf(path, item, out);
	json_object_foreach(value, key, item)
	{
		auto_strbuf below = STRBUF_INIT;
		strbuf_printf(&below, "%s%s%s", path, *path ? "." : "", key);
		if (strbuf_broken(&below))
			l->arena->broken = true;
		else if (is_word(key))
			flatten(l, below.str, item, out);
	}
	put_leaf(path, value, out);
}

/* Python's ==, as far as versions go: 1 and 1.0 are equal, 1 and "1" are not. */
static bool same_version(const json_t *a, const json_t *b)
{
	if (json_is_number(a) && json_is_number(b))
		return json_number_value(a) == json_number_value(b);
	return json_equal(a, b);
}

static bool is_said(const json_t *version)
{
	return json_is_number(version) ? json_number_value(version) != 0 : json_string_length(version) > 0;
}

static bool version_number(const json_t *version, double *number)
{
	const char *text = json_string_value(version);
	char *end = NULL;
	*number = text ? strtod(text, &end) : json_number_value(version);
	return !text || (end > text && !*end);
}

static void version_text(const json_t *version, char text[VERSION_TEXT])
{
	if (json_is_string(version))
		snprintf(text, VERSION_TEXT, "%s", json_string_value(version));
	else
		snprintf(text, VERSION_TEXT, "%g", json_number_value(version));
}

/* Compares two versions as numbers, or as texts where one of them is no number. */
static int compare_versions(const json_t *a, const json_t *b)
{
	double x, y;
	if (version_number(a, &x) && version_number(b, &y))
		return (x > y) - (x < y);
	char left[VERSION_TEXT], right[VERSION_TEXT];
	version_text(a, left);
	version_text(b, right);
	return strcmp(left, right);
}

static enum version_age version_age(const struct place *at)
{
	const json_t *version = json_object_get(at->object, "version");
	const json_t *latest = json_object_get(at->object, "latest_version");
	if (!version || json_is_null(version))
		return VERSION_NONE;
	if (latest && same_version(version, latest))
		return VERSION_LATEST;
	int order = is_said(version) && latest && is_said(latest) ? compare_versions(version, latest) : 0;
	return order ? (order < 0 ? VERSION_OLD : VERSION_PRERELEASE) : VERSION_UNCLEAR;
}

static int load_config_text(struct loader *l, const struct place *at, struct node *n)
{
	json_t *config;
	auto_strbuf text = STRBUF_INIT;
	int r = get_object(at, "config", &config);
	if (r)
		return r;
	strbuf_putc(&text, '\n');
	if (config)
		flatten(l, "", config, &text);
	if (strbuf_broken(&text))
		l->arena->broken = true;
	n->config = arena_intern(l->arena, text.str);
	if (config && node_is(n, "unit_test")) {
		struct place config_at = place_under(at, "config", config);
		r = get_strings(&config_at, "tags", l->arena, &n->tags);
	}
	return r;
}

int load_selectable(struct loader *l, const struct place *at, struct node *n)
{
	const char *patch, *access = NULL, *test = NULL;
	json_t *metadata;
	int r = get_string(at, "patch_path", &patch);
	if (!r && node_is(n, "model"))
		r = get_string(at, "access", &access);
	if (!r)
		r = get_object(at, "test_metadata", &metadata);
	if (!r && metadata) {
		struct place metadata_at = place_under(at, "test_metadata", metadata);
		r = get_string(&metadata_at, "name", &test);
	}
	if (r)
		return r;
	const char *after = patch ? strstr(patch, "://") : NULL;
	n->patch_path = arena_intern(l->arena, after ? after + 3 : NULL);
	n->access = arena_intern(l->arena, access);
	n->test = arena_intern(l->arena, test);
	n->age = node_is(n, "model") ? version_age(at) : VERSION_NONE;
	return load_config_text(l, at, n);
}

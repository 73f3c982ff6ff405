/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/json.h"

#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/strbuf.h"

#define EXCERPT_MAX 80

struct place place_under(const struct place *up, const char *key, json_t *object)
{
	return (struct place){.up = up, .key = key, .object = object, .file = up->file, .err = up->err};
}

static void put_key(const char *key, struct strbuf *out)
{
	if (out->len && key[0] != '[')
		strbuf_putc(out, '.');
	strbuf_puts(out, key);
}

static void put_path(const struct place *in, struct strbuf *out)
{
	if (!in->up)
		return;
	put_path(in->up, out);
	put_key(in->key, out);
}

static void put_key_path(const struct place *in, const char *key, struct strbuf *out)
{
	put_path(in, out);
	put_key(key, out);
}

char *place_path(const struct place *in, const char *key, struct arena *a)
{
	auto_strbuf path = STRBUF_INIT;
	put_key_path(in, key, &path);
	return arena_strndup(a, path.str, path.len);
}

void json_excerpt(const json_t *value, char *buf, size_t size)
{
	static const char cut[] = "...";
	auto_free char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	const char *from = text ? text : "missing";
	size_t len = strlen(from);
	if (len < size) {
		memcpy(buf, from, len + 1);
		return;
	}
	len = size - sizeof(cut);
	while (len && ((unsigned char)from[len] & 0xc0) == 0x80)
		len--;
	memcpy(buf, from, len);
	memcpy(buf + len, cut, sizeof(cut));
}

int place_wrong(const struct place *in, const char *key, const json_t *value, const char *what)
{
	char excerpt[EXCERPT_MAX];
	json_excerpt(value, excerpt, sizeof(excerpt));
	auto_strbuf path = STRBUF_INIT;
	put_key_path(in, key, &path);
	return error_set(in->err, EINVAL, "%s: %s is %s, %s", in->file, path.str, excerpt, what);
}

static json_t *lookup(const struct place *in, const char *key)
{
	json_t *value = json_object_get(in->object, key);
	return json_is_null(value) ? NULL : value;
}

/*
 * We let jansson accept a NUL in a text, so that one name with a NUL costs one model and not the manifest. A
 * C string cannot hold it, so the text itself is wrong.
 */
static int check_text(const struct place *in, const char *key, const json_t *value)
{
	if (!json_is_string(value))
		return place_wrong(in, key, value, "not a string");
	if (strlen(json_string_value(value)) != json_string_length(value))
		return place_wrong(in, key, value, "a string with a NUL byte in it");
	return 0;
}

int get_string(const struct place *in, const char *key, const char **out)
{
	json_t *value = lookup(in, key);
	*out = NULL;
	if (!value)
		return 0;
	int r = check_text(in, key, value);
	if (!r)
		*out = json_string_value(value);
	return r;
}

int need_string(const struct place *in, const char *key, const char **out)
{
	int r = get_string(in, key, out);
	if (!r && !*out)
		return place_wrong(in, key, json_object_get(in->object, key), "not a string");
	return r;
}

int get_object(const struct place *in, const char *key, json_t **out)
{
	*out = lookup(in, key);
	if (*out && !json_is_object(*out))
		return place_wrong(in, key, *out, "not an object");
	return 0;
}

int get_array(const struct place *in, const char *key, json_t **out)
{
	*out = lookup(in, key);
	if (*out && !json_is_array(*out))
		return place_wrong(in, key, *out, "not a list");
	return 0;
}

int get_bool(const struct place *in, const char *key, enum tristate *out)
{
	json_t *value = lookup(in, key);
	*out = TRI_UNSET;
	if (!value)
		return 0;
	if (!json_is_boolean(value))
		return place_wrong(in, key, value, "neither true nor false");
	*out = json_is_true(value) ? TRI_TRUE : TRI_FALSE;
	return 0;
}

int get_strings(const struct place *in, const char *key, struct arena *a, const char ***out)
{
	json_t *value = lookup(in, key);
	size_t n = json_is_array(value) ? json_array_size(value) : value ? 1 : 0;
	const char **list = arena_alloc(a, n + 1, sizeof(*list));
	*out = list;
	if (!list)
		return error_set(in->err, ENOMEM, "%s: no memory", in->file);
	if (value && !json_is_array(value) && !json_is_string(value))
		return place_wrong(in, key, value, "not a list of strings");
	for (size_t i = 0; i < n; i++) {
		json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
		struct place at = place_under(in, key, value);
		char index[32];
		snprintf(index, sizeof(index), "[%zu]", i);
		int r = json_is_array(value) ? check_text(&at, index, item) : check_text(in, key, item);
		if (r)
			return r;
		list[i] = arena_intern(a, json_string_value(item));
	}
	return a->broken ? error_set(in->err, ENOMEM, "%s: no memory", in->file) : 0;
}

bool json_says(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_NULL:
	case JSON_FALSE:
		return false;
	case JSON_STRING:
		return json_string_length(value) > 0;
	case JSON_ARRAY:
		return json_array_size(value) > 0;
	case JSON_OBJECT:
		return json_object_size(value) > 0;
	default:
		return true;
	}
}

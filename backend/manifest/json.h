/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed access to the manifest's JSON. Every getter takes the place it looks
 * in, so that a value of the wrong type is reported with file, key path and
 * value: -EINVAL. A key that is missing or null is no error: NULL, TRI_UNSET.
 * Strings point into the JSON document unless it says otherwise.
 */
#ifndef BATCHFS_MANIFEST_JSON_H
#define BATCHFS_MANIFEST_JSON_H

#include <jansson.h>

#include "backend/base/error.h"
#include "backend/manifest.h"
#include "backend/manifest/arena.h"

/* Where an object stands: a chain of keys up to the document, on the stack of who walks down. */
struct place {
	const struct place *up;
	const char *key; /* NULL in the document itself, whose `file` is set */
	json_t *object;
	const char *file;
	struct error *err;
};

/* The place below; object must be the value of key in up. */
struct place place_under(const struct place *up, const char *key, json_t *object);

/* "FILE: KEY.PATH is VALUE, WHAT": -EINVAL. what: "not a string", a clause. */
int place_wrong(const struct place *in, const char *key, const json_t *value, const char *what);

/* The path of key in the place, in the arena: "nodes.model.p.x.config.begin". */
char *place_path(const struct place *in, const char *key, struct arena *a);

/* The value as compact JSON, cut where it is long. buf is always terminated. */
void json_excerpt(const json_t *value, char *buf, size_t size);

int get_string(const struct place *in, const char *key, const char **out);
int need_string(const struct place *in, const char *key, const char **out);
int get_object(const struct place *in, const char *key, json_t **out);
int get_array(const struct place *in, const char *key, json_t **out);
int get_bool(const struct place *in, const char *key, enum tristate *out);

/*
 * A list of strings or one string -> a NULL-terminated list, copied to the arena; never NULL but without
 * memory. Of a list with a wrong value: what stands before that.
 */
int get_strings(const struct place *in, const char *key, struct arena *a, const char ***out);

/* True where the key holds something: not missing, null, false, "", [] or {}. */
bool json_says(const json_t *object, const char *key);

#endif

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

/*
 * Where an object stands in the document. Each place points to the one above it; all are on the stack of the
 * function that walks down.
 */
struct place {
	const struct place *up;
	const char *key; /* NULL: this is the document itself, and `file` is set */
	json_t *object;
	const char *file;
	struct error *err;
};

/* The place of `object`, which is the value of `key` in `up`. */
struct place place_under(const struct place *up, const char *key, json_t *object);

/*
 * Sets the error "FILE: KEY.PATH is VALUE, WHAT", where WHAT is a clause such as "not a string". Returns
 * -EINVAL.
 */
int place_wrong(const struct place *in, const char *key, const json_t *value, const char *what);

/* The path of the key, in the arena: "nodes.model.p.x.config.begin". */
char *place_path(const struct place *in, const char *key, struct arena *a);

/*
 * Writes the value as JSON without blanks, cut where it is longer than the buffer. The buffer always ends
 * with a NUL.
 */
void json_excerpt(const json_t *value, char *buf, size_t size);

int get_string(const struct place *in, const char *key, const char **out);
int need_string(const struct place *in, const char *key, const char **out);
int get_object(const struct place *in, const char *key, json_t **out);
int get_array(const struct place *in, const char *key, json_t **out);
int get_bool(const struct place *in, const char *key, enum tristate *out);

/*
 * Copies a list of strings, or one string, to a NULL-terminated list in the arena. The list is never NULL,
 * except where there is no memory. On -EINVAL it holds the strings before the wrong value.
 */
int get_strings(const struct place *in, const char *key, struct arena *a, const char ***out);

/* Whether the key says anything: it is there, and its value is not null, false, "", [] or {}. */
bool json_says(const json_t *object, const char *key);

#endif

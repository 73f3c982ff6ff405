/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests for tests: fixtures/manifests/base.json with a patch merged into it. */
#ifndef BATCHFS_TESTS_MANIFEST_FIXTURE_H
#define BATCHFS_TESTS_MANIFEST_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "backend/manifest.h"
#include "backend/verdict.h"

/* "fixtures/..." below the source tree's tests/. */
static inline char *fixture_path(const char *name)
{
	const char *source = getenv("BATCHFS_SOURCE");
	char *path;
	assert_true(asprintf(&path, "%s/tests/%s", source ? source : ".", name) > 0);
	return path;
}

/* Writes the text to a file in a fresh directory; *dir is to be given to remove_manifest(). */
static inline char *write_manifest(const char *text, size_t len, char **dir)
{
	char *path;
	*dir = strdup("/tmp/batchfs-test-XXXXXX");
	assert_non_null(mkdtemp(*dir));
	assert_true(asprintf(&path, "%s/manifest.json", *dir) > 0);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	return path;
}

static inline void remove_manifest(char *path, char *dir)
{
	remove(path);
	remove(dir);
	free(path);
	free(dir);
}

static inline int load_text(const char *text, size_t len, struct catalog **out, struct error *err)
{
	char *dir, *path = write_manifest(text, len, &dir);
	int r = manifest_load(path, NULL, out, err);
	if (r)
		assert_non_null(strstr(err->text, path));
	remove_manifest(path, dir);
	return r;
}

/* Objects merge, everything else is replaced. */
static inline int load_patched(const char *patch, struct catalog **out, struct error *err)
{
	char *path = fixture_path("fixtures/manifests/base.json");
	json_error_t wrong;
	json_t *base = json_load_file(path, 0, &wrong), *changes = json_loads(patch, JSON_ALLOW_NUL, &wrong);
	assert_non_null(base);
	if (!changes)
		fail_msg("bad patch: %s: %s", wrong.text, patch);
	assert_int_equal(json_object_update_recursive(base, changes), 0);
	char *text = json_dumps(base, 0);
	int r = load_text(text, strlen(text), out, err);
	free(text);
	json_decref(changes);
	json_decref(base);
	free(path);
	return r;
}

/* The catalog of the patched base, which must load. */
static inline struct catalog *patched(const char *patch)
{
	struct catalog *c = NULL;
	struct error err = {0};
	if (load_patched(patch, &c, &err))
		fail_msg("%s", err.text);
	return c;
}

static inline const struct model *find_model(const struct catalog *c, const char *dir)
{
	int i = catalog_find(c, dir);
	if (i < 0)
		fail_msg("no model %s", dir);
	return &c->models[i];
}

/* The verdict on the model where the engine supports nothing; NULL: it can be built. Until the next call. */
static inline const char *why_not(const struct model *m)
{
	static char kept[8192];
	auto_strbuf text = STRBUF_INIT;
	verdict_why_not(m, 0, &text);
	assert_int_equal(verdict_builds(m, 0), text.len == 0);
	snprintf(kept, sizeof(kept), "%s", text.str);
	return *kept ? kept : NULL;
}

static inline const struct input *find_input(const struct model *m, const char *unique_id)
{
	for (size_t i = 0; i < m->n_inputs; i++) {
		if (strcmp(m->inputs[i].unique_id, unique_id) == 0)
			return &m->inputs[i];
	}
	fail_msg("%s has no input %s", m->dir, unique_id);
	return NULL;
}

static inline void assert_says(const char *text, const char *part)
{
	if (!text || !part || !strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part ? part : "", text ? text : "(nothing)");
}

#endif

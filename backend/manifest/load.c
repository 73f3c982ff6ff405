/* SPDX-License-Identifier: Apache-2.0 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "backend/base/cleanup.h"
#include "backend/base/strbuf.h"
#include "backend/manifest/macros.h"
#include "backend/manifest/steps.h"

#define SCHEMA_OLDEST 9

/* Reads the number out of "https://schemas.getdbt.com/dbt/manifest/v12.json". */
static int check_schema(struct loader *l, const struct place *metadata, const char *version)
{
	static const char before[] = "/manifest/v";
	const char *at = strstr(version, before);
	char *end = NULL;
	long number = at ? strtol(at + sizeof(before) - 1, &end, 10) : 0;
	if (number <= 0 || (*end && strcmp(end, ".json") != 0))
		return place_wrong(metadata, "dbt_schema_version",
				   json_object_get(metadata->object, "dbt_schema_version"),
				   "not the schema of a dbt manifest");
	if (number < SCHEMA_OLDEST)
		return place_wrong(metadata, "dbt_schema_version",
				   json_object_get(metadata->object, "dbt_schema_version"),
				   "which is too old: v9 (dbt 1.5) and newer are read");
	return loader_check(l);
}

static int load_metadata(struct loader *l)
{
	json_t *object;
	const char *schema, *dbt, *project, *adapter;
	int r = get_object(&l->root, "metadata", &object);
	if (!r && !object)
		r = place_wrong(&l->root, "metadata", NULL, "so this is not a dbt manifest");
	if (r)
		return r;
	struct place at = place_under(&l->root, "metadata", object);
	r = need_string(&at, "dbt_schema_version", &schema);
	if (!r)
		r = get_string(&at, "dbt_version", &dbt);
	if (!r)
		r = get_string(&at, "project_name", &project);
	if (!r)
		r = get_string(&at, "adapter_type", &adapter);
	if (r)
		return r;
	struct catalog *c = l->catalog;
	c->schema_version = arena_strdup(l->arena, schema);
	c->dbt_version = arena_strdup(l->arena, dbt ? dbt : "");
	c->project = arena_strdup(l->arena, project ? project : "");
	c->adapter_type = arena_strdup(l->arena, adapter ? adapter : "");
	l->dialect = sql_dialect_of(adapter);
	return check_schema(l, &at, schema);
}

static int open_maps(struct loader *l)
{
	static const char *const keys[MAP_COUNT] = {
		[MAP_NODES] = "nodes",
		[MAP_SOURCES] = "sources",
		[MAP_EXPOSURES] = "exposures",
		[MAP_METRICS] = "metrics",
		[MAP_SEMANTIC_MODELS] = "semantic_models",
		[MAP_SAVED_QUERIES] = "saved_queries",
		[MAP_UNIT_TESTS] = "unit_tests",
		[MAP_FUNCTIONS] = "functions",
	};
	for (size_t i = 0; i < MAP_COUNT; i++) {
		json_t *map;
		int r = get_object(&l->root, keys[i], &map);
		if (!r && !map && i == MAP_NODES)
			r = place_wrong(&l->root, keys[i], json_object_get(l->root.object, keys[i]),
					"not an object");
		if (r)
			return r;
		l->maps[i] = place_under(&l->root, keys[i], map);
	}
	return get_object(&l->root, "macros", &l->macros);
}

static int load_model(struct loader *l, struct model *m, unsigned *seen)
{
	bool *windowed;
	int r = load_config(l, m);
	if (!r)
		r = load_target_config(l, m);
	if (!r)
		r = refuse_wrong(l, m, load_columns(l, m));
	if (!r)
		r = refuse_wrong(l, m, load_hooks(l, m));
	if (!r)
		r = refuse_wrong(l, m, load_needs(l, m));
	if (!r)
		r = load_made_of(l, m);
	if (!r)
		r = refuse_wrong(l, m, load_compiled(l, m));
	if (!r)
		r = load_inputs(l, m, &windowed);
	if (!r)
		r = load_upstreams(l, m, windowed, seen);
	if (!r)
		hash_model(m);
	return r;
}

static int load_all(struct loader *l)
{
	int r = load_metadata(l);
	if (!r)
		r = open_maps(l);
	if (!r)
		r = load_nodes(l);
	if (!r)
		r = load_models(l);
	if (!r)
		r = find_own_strategy(l);
	auto_free unsigned *seen = r ? NULL : calloc(l->n_nodes + 1, sizeof(*seen));
	if (!r && !seen)
		l->arena->broken = true;
	if (!r)
		r = loader_check(l);
	for (size_t i = 0; !r && i < l->n_models; i++)
		r = load_model(l, &l->models[i], seen);
	return r;
}

static int load_catalog(json_t *root, const char *path, const struct log *log,
			const struct sql_memory *memory, int64_t written_at, struct catalog **out,
			struct error *err)
{
	*out = NULL;
	if (!json_is_object(root))
		return error_set(err, EINVAL, "%s: not a JSON object, so this is not a dbt manifest", path);
	struct owned_catalog *owned = calloc(1, sizeof(*owned));
	if (!owned)
		return error_set(err, ENOMEM, "%s: no memory to load it", path);
	owned->catalog.references = 1;
	struct loader l = {.catalog = &owned->catalog,
			   .arena = &owned->arena,
			   .log = log,
			   .memory = memory,
			   .written_at = written_at};
	l.catalog->path = arena_strdup(l.arena, path);
	const char *slash = strrchr(path, '/');
	l.dir = slash ? arena_strndup(l.arena, path, (size_t)(slash - path)) : ".";
	l.root = (struct place){.object = root, .file = path, .err = err};
	int r = loader_check(&l);
	if (!r)
		r = load_all(&l);
	free(l.json);
	arena_seal(l.arena);
	if (r) {
		catalog_free(&owned->catalog);
		return r;
	}
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	owned->catalog.loaded_at = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	for (size_t i = 0; i < l.n_models; i++)
		l.models[i].catalog = &owned->catalog;
	owned->catalog.models = l.models;
	owned->catalog.n_models = l.n_models;
	owned->catalog.nodes = l.nodes;
	owned->catalog.n_nodes = l.n_nodes;
	*out = &owned->catalog;
	return 0;
}

int catalog_from_json(json_t *root, const char *path, const struct log *log, struct catalog **out,
		      struct error *err)
{
	return load_catalog(root, path, log, NULL, 0, out, err);
}

/* Appends the path of the manifest's file: the path that was given, or manifest.json in that directory. */
static int find_manifest(const char *path, struct strbuf *out, struct error *err)
{
	struct stat st;
	strbuf_puts(out, path);
	if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
		strbuf_puts(out,
			    path[0] && path[strlen(path) - 1] == '/' ? "manifest.json" : "/manifest.json");
		if (!strbuf_broken(out) && stat(out->str, &st) && errno == ENOENT)
			return error_set(err, ENOENT,
					 "%s: no such file; the directory holds no manifest.json (`dbt "
					 "compile` writes one "
					 "into target/)",
					 out->str);
	}
	return strbuf_broken(out) ? error_set(err, ENOMEM, "%s: no memory", path) : 0;
}

static struct file_stamp stamp_of(const struct stat *st)
{
	return (struct file_stamp){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = st->st_size,
		.mode = st->st_mode,
		.modified_ns = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec,
		.changed_ns = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec};
}

struct file_stamp manifest_stamp(const char *path)
{
	struct stat st;
	return stat(path, &st) ? (struct file_stamp){.err = errno} : stamp_of(&st);
}

bool stamp_equal(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns && a->err == b->err;
}

int manifest_load(const char *path, const struct log *log, struct catalog **out, struct error *err)
{
	return manifest_load_again(path, log, NULL, out, err);
}

int manifest_load_again(const char *path, const struct log *log, const struct sql_memory *memory,
			struct catalog **out, struct error *err)
{
	auto_strbuf file = STRBUF_INIT;
	struct stat st;
	*out = NULL;
	int r = find_manifest(path, &file, err);
	if (r)
		return r;
	auto_file FILE *f = fopen(file.str, "re");
	if (!f || fstat(fileno(f), &st))
		return error_set(err, errno, "%s: %s", file.str, strerrordesc_np(errno));
	if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		return error_set(err, EINVAL, "%s: neither a file nor a directory", file.str);
	json_error_t wrong;
	errno = 0;
	/*
	 * A NUL in a text is accepted here, so that one name with a NUL costs one model and not the manifest.
	 */
	json_t *root = json_loadf(f, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &wrong);
	/* Where jansson has found no memory it often blames the text, or says nothing at all. */
	if (!root && (errno == ENOMEM || wrong.line < 0))
		return error_set(err, ENOMEM, "%s: no memory to load it", file.str);
	if (!root)
		return syntax_error(file.str, f, &wrong, err);
	r = load_catalog(root, file.str, log, memory, stamp_of(&st).modified_ns / 1000, out, err);
	if (!r)
		(*out)->stamp = stamp_of(&st);
	json_decref(root);
	/*
	 * The parsed document was several times as large as the file (405 MB for 83 MB of JSON): gives the
	 * memory back to the system.
	 */
	malloc_trim(0);
	return r;
}

void catalog_hold(struct catalog *c)
{
	__atomic_add_fetch(&c->references, 1, __ATOMIC_RELAXED);
}

const struct model *model_hold(const struct model *m)
{
	if (m->catalog)
		catalog_hold(m->catalog);
	return m;
}

void model_drop(const struct model *m)
{
	if (m)
		catalog_free(m->catalog);
}

void catalog_free(struct catalog *c)
{
	if (!c || __atomic_sub_fetch(&c->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	struct owned_catalog *owned = (struct owned_catalog *)c;
	arena_fini(&owned->arena);
	free(owned);
}

static int compare_dir(const void *dir, const void *model)
{
	return strcmp(dir, ((const struct model *)model)->dir);
}

int catalog_find(const struct catalog *c, const char *dir)
{
	const struct model *found = bsearch(dir, c->models, c->n_models, sizeof(*c->models), compare_dir);
	return found ? (int)(found - c->models) : -1;
}

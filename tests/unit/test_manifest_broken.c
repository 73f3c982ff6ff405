/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "tests/unit/manifest_fixture.h"

#define V12 "{\"metadata\": {\"dbt_schema_version\": \"https://schemas.getdbt.com/dbt/manifest/v12.json\"}, "

static void assert_broken(const char *text, size_t len, const char *says)
{
	struct catalog *c = NULL;
	struct error err = {0};
	assert_int_equal(load_text(text, len, &c, &err), -EINVAL);
	assert_null(c);
	assert_says(err.text, says);
}

static void test_syntax(void **state)
{
	static const char *const cases[][2] = {
		{"", "not valid JSON at line 1"},
		{"nonsense", "not valid JSON"},
		{"[1, 2]", "not a dbt manifest"},
		{"{}", "metadata is missing, so this is not a dbt manifest"},
		{V12 "\"nodes\": {\"a\": 1", "'}' expected near end of file"},
		{V12 "\"nodes\": {}, \"nodes\": {}}", "duplicate object key near '\"nodes\"'"},
		{V12 "\"nodes\": {}, \"x\": 99999999999999999999999999}",
		 ", in x: too big integer near '99999999999999999999999999'"},
		{V12 "\"nodes\": {}, \"x\": 1e999}", "real number overflow near '1e999'"},
		{V12 "\"nodes\": {\"model.p.m\": {\"tags\": [\"a\"], \"config\": {\"lookback\": 1e999}}}}",
		 ", in nodes.model.p.m.config.lookback: real number overflow near '1e999'"},
		{V12 "\"nodes\": {\"m\": {\"name\": \"a\", \"name\": 1}}}",
		 ", in nodes.m: duplicate object key near '\"name\"'"},
		{V12 "\"nodes\": {}} trailing", "end of file expected near 'trailing'"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_broken(cases[i][0], strlen(cases[i][0]), cases[i][1]);
	assert_broken("{\"a\": \"\xff\"}", 9, "not valid JSON");
}

static void test_deep(void **state)
{
	size_t depth = 10000;
	char *text = malloc(2 * depth);
	assert_non_null(text);
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	assert_broken(text, 2 * depth, "maximum parsing depth reached");
	free(text);
}

static void test_truncated(void **state)
{
	char *path = fixture_path("fixtures/manifests/base.json");
	char *text = malloc(64 * 1024);
	FILE *f = fopen(path, "r");
	assert_non_null(text);
	assert_non_null(f);
	size_t len = fread(text, 1, 64 * 1024, f);
	fclose(f);
	while (len && text[len - 1] != '}')
		len--;
	for (size_t cut = 0; cut < len; cut += cut % 61 + 7)
		assert_broken(text, cut, "not valid JSON");
	free(text);
	free(path);
}

static void test_types(void **state)
{
	static const char *const cases[][2] = {
		{"{\"metadata\": []}", "metadata is [], not an object"},
		{"{\"metadata\": {\"dbt_schema_version\": 12}}",
		 "metadata.dbt_schema_version is 12, not a string"},
		{"{\"metadata\": {\"dbt_schema_version\": null}}", "metadata.dbt_schema_version is null"},
		{"{\"metadata\": {\"dbt_schema_version\": "
		 "\"https://schemas.getdbt.com/dbt/manifest/v8.json\"}}",
		 "manifest/v8.json\", which is too old"},
		{"{\"metadata\": {\"dbt_schema_version\": "
		 "\"https://schemas.getdbt.com/dbt/run-results/v6.json\"}}",
		 "run-results/v6.json\", not the schema of a dbt manifest"},
		{"{\"nodes\": [1]}", "nodes is [1], not an object"},
		{"{\"nodes\": null}", "nodes is null, not an object"},
		{"{\"sources\": 3}", "sources is 3, not an object"},
		{"{\"nodes\": {\"model.p.m\": \"x\"}}", "nodes.model.p.m is \"x\", not an object"},
		{"{\"nodes\": {\"model.p.m\": {\"name\": 5}}}", "nodes.model.p.m.name is 5, not a string"},
		{"{\"nodes\": {\"model.p.m\": {\"resource_type\": null}}}",
		 "nodes.model.p.m.resource_type is null"},
		{"{\"nodes\": {\"model.p.m\": {\"config\": []}}}",
		 "nodes.model.p.m.config is [], not an object"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct catalog *c = NULL;
		struct error err = {0};
		if (load_patched(cases[i][0], &c, &err) != -EINVAL)
			fail_msg("accepted: %s", cases[i][0]);
		assert_null(c);
		assert_int_equal(err.err, EINVAL);
		assert_says(err.text, cases[i][1]);
	}
}

static const char *const of_one_model[][2] = {
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"batch_size\": 7}}}}",
	 "nodes.model.p.m.config.batch_size is 7, not a string"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"event_time\": {\"a\": 1}}}}}",
	 "nodes.model.p.m.config.event_time is {\"a\":1}, not a string"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"full_refresh\": \"no\"}}}}",
	 "nodes.model.p.m.config.full_refresh is \"no\", neither true nor false"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"unique_key\": 1}}}}",
	 "nodes.model.p.m.config.unique_key is 1, not a list of strings"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"unique_key\": [\"a\", 2]}}}}",
	 "nodes.model.p.m.config.unique_key[1] is 2, not a string"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"indexes\": [{\"columns\": [\"a\"], \"unique\": "
	 "1}]}}}}",
	 "nodes.model.p.m.config.indexes[0].unique is 1"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"indexes\": [{}]}}}}",
	 "nodes.model.p.m.config.indexes[0].columns is missing"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"pre-hook\": \"x\"}}}}",
	 "config.pre-hook is \"x\", not a list"},
	{"{\"nodes\": {\"model.p.m\": {\"compiled_code\": 1}}}", "nodes.model.p.m.compiled_code is 1"},
	{"{\"nodes\": {\"model.p.m\": {\"compiled_code\": \"a\\u0000b\"}}}",
	 "nodes.model.p.m.compiled_code is \"a\\u0000b\", a string with a NUL byte in it"},
	{"{\"nodes\": {\"model.p.m\": {\"depends_on\": []}}}", "nodes.model.p.m.depends_on is []"},
	{"{\"nodes\": {\"model.p.m\": {\"depends_on\": {\"nodes\": \"model.p.src\"}}}}",
	 "nodes.model.p.m.depends_on.nodes is \"model.p.src\", not a list"},
	{"{\"nodes\": {\"model.p.m\": {\"depends_on\": {\"nodes\": [null]}}}}",
	 "nodes.model.p.m.depends_on.nodes[0] is null, not a string"},
	{"{\"sources\": {\"source.p.raw.ev\": {\"source_name\": null}},"
	 " \"nodes\": {\"model.p.m\": {\"depends_on\": {\"nodes\": [\"source.p.raw.ev\"]}}}}",
	 "sources.source.p.raw.ev.source_name is null"},
	{"{\"nodes\": {\"model.p.m\": {\"tags\": 7}}}", "nodes.model.p.m.tags is 7, not a list of strings"},
	{"{\"nodes\": {\"model.p.m\": {\"fqn\": [1]}}}", "nodes.model.p.m.fqn[0] is 1, not a string"},
	{"{\"nodes\": {\"model.p.m\": {\"package_name\": null}}}", "nodes.model.p.m.package_name is null"},
	{"{\"nodes\": {\"model.p.m\": {\"version\": []}}}", "nodes.model.p.m.version is []"},
	{"{\"nodes\": {\"model.p.m\": {\"patch_path\": 3}}}", "nodes.model.p.m.patch_path is 3"},
	{"{\"nodes\": {\"model.p.m\": {\"original_file_path\": {}}}}", "original_file_path is {}"},
	{"{\"nodes\": {\"model.p.m\": {\"checksum\": 1}}}", "nodes.model.p.m.checksum is 1"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"meta\": 1}}}}", "nodes.model.p.m.config.meta is 1"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"meta\": {\"batchfs\": 1}}}}}",
	 "nodes.model.p.m.config.meta.batchfs is 1"},
	{"{\"nodes\": {\"model.p.m\": {\"meta\": {\"batchfs\": {\"outside\": \"keep\"}}}}}",
	 "nodes.model.p.m.meta.batchfs.outside is \"keep\", where only \"drop\" can stand"},
	{"{\"nodes\": {\"model.p.m\": {\"meta\": {\"batchfs\": {\"partitions\": \"drop\"}}}}}",
	 "nodes.model.p.m.meta.batchfs.partitions is \"drop\", where only \"make\" can stand"},
	{"{\"nodes\": {\"model.p.m\": {\"config\": {\"meta\": {\"batchfs\": {\"partitions\": true}}}}}}",
	 "nodes.model.p.m.config.meta.batchfs.partitions is true"},
	{"{\"nodes\": {\"model.p.m\": {\"relation_name\": 1}}}", "nodes.model.p.m.relation_name is 1"},
	{"{\"nodes\": {\"model.p.m\": {\"relation_name\": \"\"}}}",
	 "nodes.model.p.m.relation_name is \"\", not the name of a table"},
	{"{\"nodes\": {\"model.p.m\": {\"relation_name\": \"a..b\"}}}",
	 "nodes.model.p.m.relation_name is \"a..b\", not the name of a table"},
	{"{\"nodes\": {\"model.p.m\": {\"relation_name\": \"\\\"a\\\".\\\"\\\"\"}}}",
	 "not the name of a table"},
	{"{\"nodes\": {\"model.p.m\": {\"relation_name\": \"m\", \"schema\": null}}}",
	 "nodes.model.p.m.schema is null, and relation_name has no schema either"},
	{"{\"nodes\": {\"model.p.src\": {\"relation_name\": \"\"}}}",
	 "nodes.model.p.src.relation_name is \"\", not the name of a table"},
	{"{\"nodes\": {\"model.p.src\": {\"config\": {\"event_time\": 5}}}}",
	 "nodes.model.p.src.config.event_time is 5, not a string"},
	{"{\"nodes\": {\"model.p.src\": {\"config\": {\"materialized\": 5}}}}",
	 "It reads model.p.src, which is wrong in the manifest: "},
};

/* It is in the catalog and says why it cannot run; the others can. */
static void test_one_model(void **state)
{
	static const char other[] =
		"{\"nodes\": {\"model.p.fine\": {\"resource_type\": \"model\", \"name\": \"fine\","
		" \"package_name\": \"p\", \"fqn\": [], \"relation_name\": \"s.fine\","
		" \"compiled_code\": \"select 1 as at\", \"depends_on\": {\"nodes\": []},"
		" \"config\": {\"materialized\": \"incremental\", \"event_time\": \"at\","
		" \"incremental_strategy\": \"microbatch\", \"batch_size\": \"day\","
		" \"begin\": \"2020-01-01\"}}}}";
	for (size_t i = 0; i < sizeof(of_one_model) / sizeof(*of_one_model); i++) {
		json_t *both = json_loads(of_one_model[i][0], JSON_ALLOW_NUL, NULL),
		       *fine = json_loads(other, 0, NULL);
		assert_int_equal(json_object_update_recursive(both, fine), 0);
		char *patch = json_dumps(both, 0);
		struct catalog *c = patched(patch);
		assert_says(why_not(find_model(c, "m")), of_one_model[i][1]);
		assert_null(why_not(find_model(c, "fine")));
		catalog_free(c);
		free(patch);
		json_decref(both);
		json_decref(fine);
	}
	struct catalog *c = patched(
		"{\"nodes\": {\"model.p.m\": {\"config\": {\"unique_key\": 5, \"lookback\": \"x\"}}}}");
	assert_says(why_not(find_model(c, "m")), "unique_key is 5");
	assert_says(why_not(find_model(c, "m")), "lookback is \"x\"");
	assert_int_equal(find_model(c, "m")->begin, 1577836800000000);
	catalog_free(c);
	/* Without a size there are no batches. */
	static const char *const sizes[] = {"null", "7", "\"week\"", "\"\""};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *patch;
		assert_true(asprintf(&patch,
				     "{\"nodes\": {\"model.p.m\": {\"config\": {\"batch_size\": %s}}}}",
				     sizes[i]) > 0);
		c = patched(patch);
		assert_int_equal(find_model(c, "m")->begin, INT64_MAX);
		catalog_free(c);
		free(patch);
	}
}

static void test_files(void **state)
{
	struct catalog *c = NULL;
	struct error err = {0};
	char *dir, *path = write_manifest("{}", 2, &dir);
	assert_int_equal(manifest_load(dir, NULL, &c, &err), -EINVAL);
	assert_says(err.text, path);
	unlink(path);
	assert_int_equal(manifest_load(dir, NULL, &c, &err), -ENOENT);
	assert_says(err.text, path);
	assert_int_equal(manifest_load(path, NULL, &c, &err), -ENOENT);
	assert_says(err.text, path);
	assert_int_equal(manifest_load("/dev/null", NULL, &c, &err), -EINVAL);
	remove_manifest(path, dir);

	char *fixture = fixture_path("fixtures/samples/manifest_after_run.json"), *text = NULL;
	json_t *json = json_load_file(fixture, 0, NULL);
	assert_non_null(json);
	text = json_dumps(json, 0);
	path = write_manifest(text, strlen(text), &dir);
	assert_int_equal(manifest_load(dir, NULL, &c, &err), 0);
	assert_string_equal(c->path, path);
	catalog_free(c);
	remove_manifest(path, dir);
	json_decref(json);
	free(text);
	free(fixture);
	catalog_free(NULL);
}

/* `up` under another name: which directories are there? */
static void check_names(const char *up, const char *const *dirs)
{
	char *patch;
	assert_true(asprintf(&patch, "{\"nodes\": {\"model.p.up\": {%s}}}", up) > 0);
	struct catalog *c = patched(patch);
	size_t n = 0;
	for (; dirs[n]; n++) {
		if (n >= c->n_models || strcmp(c->models[n].dir, dirs[n]) != 0)
			fail_msg("%s: no directory %s", up, dirs[n]);
	}
	assert_int_equal(c->n_models, n);
	catalog_free(c);
	free(patch);
}

static void test_names(void **state)
{
	static const char *const left_out[] = {
		"\"name\": \"a/b\"",	       "\"name\": \"..\"",	  "\"name\": \".\"",
		"\"name\": \".status\"",       "\"name\": \"a\\u0000b\"", "\"name\": \"\"",
		"\"name\": \".full-refresh\"", "\"name\": \"m\"",	  "\"config\": {\"enabled\": false}",
		"\"version\": \"1/2\"",
	};
	for (size_t i = 0; i < sizeof(left_out) / sizeof(*left_out); i++)
		check_names(left_out[i], (const char *[]){"m", NULL});
	check_names("\"version\": 2", (const char *[]){"m", "up.v2", NULL});
	check_names("\"version\": \"2b\"", (const char *[]){"m", "up.v2b", NULL});
	check_names("\"name\": \"m\", \"package_name\": \"q\"", (const char *[]){"p.m", "q.m", NULL});
	check_names("\"name\": \"m\", \"package_name\": \"q\", \"version\": 3",
		    (const char *[]){"p.m", "q.m.v3", NULL});
	check_names("\"name\": \"m\", \"version\": 3", (const char *[]){"m", "m.v3", NULL});
	check_names("\"name\": \"gr\\u00f6\\u00dfe 1\"", (const char *[]){"gr\xc3\xb6\xc3\x9f"
									  "e 1",
									  "m", NULL});

	char name[256], longest[300];
	for (size_t len = 200; len <= 201; len++) {
		memset(name, 'x', len);
		name[len] = '\0';
		snprintf(longest, sizeof(longest), "\"name\": \"%s\"", name);
		check_names(longest, (const char *[]){"m", len == 200 ? name : NULL, NULL});
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_syntax),	  cmocka_unit_test(test_deep),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_types),
		cmocka_unit_test(test_one_model), cmocka_unit_test(test_files),
		cmocka_unit_test(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

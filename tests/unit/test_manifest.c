/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/manifest_fixture.h"

static struct catalog *sample(const char *name)
{
	char *path = fixture_path(name);
	struct catalog *c = NULL;
	struct error err = {0};
	if (manifest_load(path, NULL, &c, &err))
		fail_msg("%s", err.text);
	assert_string_equal(c->path, path);
	free(path);
	return c;
}

static void check_compiled_sample(const struct catalog *c)
{
	static const char *const dirs[] = {"aliased",	 "comma_join",	 "cte_same_name", "events_day",
					   "fct_day",	 "fct_hour",	 "fct_month_eph", "free_day",
					   "kept_day",	 "on_dates",	 "reads_itself",  "strings",
					   "totals_day", "totals_month", "totals_year",	  "two_inputs"};
	assert_int_equal(c->n_models, sizeof(dirs) / sizeof(*dirs));
	for (size_t i = 0; i < c->n_models; i++) {
		const struct model *m = &c->models[i];
		bool refused = strcmp(m->dir, "fct_day") == 0 || strcmp(m->dir, "reads_itself") == 0;
		assert_string_equal(m->dir, dirs[i]);
		assert_int_equal(why_not(m) != NULL, refused);
		assert_non_null(m->compiled);
		assert_int_equal(strlen(m->code), 16);
		assert_int_equal(c->nodes[m->node].place, i);
	}
	assert_int_equal(catalog_find(c, "off"), -1);
	assert_int_equal(catalog_find(c, "stg_events"), -1);
}

/* What a later dbt may write where today's writes nothing. */
static void add_unknown(json_t *object)
{
	json_object_set_new(object, "x_text", json_string("new"));
	json_object_set_new(object, "x_null", json_null());
	json_object_set_new(object, "x_list", json_pack("[i, {s:s}, []]", 1, "deep", "er"));
	json_object_set_new(object, "x_object", json_pack("{s:{s:b}}", "deep", "er", 1));
	json_object_set_new(object, "x_number", json_real(1e300));
}

static void add_unknown_to_each(json_t *root, const char *key)
{
	json_t *map = json_object_get(root, key), *one, *config;
	const char *id;
	json_object_foreach(map, id, one)
	{
		add_unknown(one);
		config = json_object_get(one, "config");
		if (config)
			add_unknown(config);
	}
}

/* The sample as another dbt writes it: its schema's number, and keys that nobody here knows on every level.
 */
static void check_as_of(const char *dbt, const char *schema, const char *batch_id)
{
	char *from = fixture_path("fixtures/samples/manifest_after_compile.json");
	json_t *root = json_load_file(from, 0, NULL), *metadata = json_object_get(root, "metadata");
	assert_non_null(root);
	json_object_set_new(metadata, "dbt_version", json_string(dbt));
	json_object_set_new(metadata, "dbt_schema_version", json_string(schema));
	add_unknown(root);
	add_unknown(metadata);
	add_unknown_to_each(root, "nodes");
	add_unknown_to_each(root, "sources");
	add_unknown_to_each(root, "macros");
	json_object_set_new(root, "functions",
			    json_pack("{s:{s:s, s:s, s:s, s:[s], s:n}}", "function.proj.f", "name", "f",
				      "resource_type", "function", "package_name", "proj", "fqn", "f",
				      "config"));
	json_t *model = json_object_get(json_object_get(root, "nodes"), "model.proj.events_day");
	json_t *config = json_object_get(model, "config");
	assert_non_null(config);
	json_object_set_new(model, "batch", json_pack("{s:s}", "id", batch_id));
	json_object_set_new(config, "on_error", json_string("skip_children"));
	json_object_set_new(config, "event_timezone", json_null());
	char *text = json_dumps(root, 0);
	struct catalog *c = NULL;
	struct error err = {0};
	if (load_text(text, strlen(text), &c, &err))
		fail_msg("%s: %s", dbt, err.text);
	assert_string_equal(c->dbt_version, dbt);
	check_compiled_sample(c);
	catalog_free(c);
	free(text);
	json_decref(root);
	free(from);
}

/* Neither can be installed where these tests run: made of what their schemas have more. */
static void test_later_versions(void **state)
{
	check_as_of("1.12.6", "https://schemas.getdbt.com/dbt/manifest/v12.json", "20240917T16");
	check_as_of("2.0.6", "https://schemas.getdbt.com/dbt/manifest/v20.json", "2024091716");
}

static void test_samples(void **state)
{
	struct catalog *c = sample("fixtures/samples/manifest_after_compile_1_9.json");
	assert_string_equal(c->dbt_version, "1.9.10");
	check_compiled_sample(c);
	catalog_free(c);
	c = sample("fixtures/samples/manifest_after_compile.json");
	assert_string_equal(c->project, "proj");
	assert_string_equal(c->adapter_type, "postgres");
	check_compiled_sample(c);

	const struct model *hour = find_model(c, "fct_hour"), *day = find_model(c, "fct_day");
	assert_int_equal(hour->batch_size, BATCH_HOUR);
	assert_int_equal(hour->begin, 1577854800 * INT64_C(1000000)); /* 2020-01-01T05:30, truncated */
	assert_int_equal(hour->full_refresh, TRI_FALSE);
	assert_string_equal(hour->unique_key[0], "id");
	assert_string_equal(hour->unique_key[1], "event_time");
	assert_null(hour->unique_key[2]);
	assert_string_equal(hour->inputs[0].unique_id, "source.proj.raw.events");
	assert_string_equal(hour->inputs[0].event_time, "event_time");
	assert_int_equal(day->lookback, 2);
	assert_int_equal(day->n_indexes, 2);
	assert_string_equal(day->indexes[0].columns[0], "event_time");
	assert_string_equal(day->indexes[0].type, "btree");
	assert_true(day->indexes[1].unique && !day->indexes[0].unique);
	assert_string_equal(day->meta_json, "{\"owner\":\"x\"}");
	assert_says(why_not(day), "pre-hook");
	assert_says(why_not(day), "post-hook");
	assert_says(why_not(day), "append_new_columns");
	assert_says(why_not(day), "grants");
	assert_says(why_not(find_model(c, "reads_itself")), "is_incremental()");
	assert_true(find_model(c, "reads_itself")->reads_itself);
	assert_int_equal(find_model(c, "reads_itself")->concurrent_batches, TRI_FALSE);
	assert_false(day->reads_itself);
	const struct model *totals = find_model(c, "totals_day");
	assert_int_equal(totals->n_upstreams, 1);
	assert_int_equal(totals->upstreams[0].place, catalog_find(c, "events_day"));
	assert_true(totals->upstreams[0].windowed);
	assert_string_equal(day->relation.schema, "an");
	assert_string_equal(day->relation.rendered, "\"warehouse\".\"an\".\"fct_day\"");
	catalog_free(c);
}

static void test_after_run(void **state)
{
	struct catalog *c = sample("fixtures/samples/manifest_after_run.json");
	struct catalog *compiled = sample("fixtures/samples/manifest_after_compile.json");
	for (size_t i = 0; i < c->n_models; i++) {
		char *command;
		assert_true(asprintf(&command, "`dbt compile --select %s`", c->models[i].dir) > 0);
		assert_says(why_not(&c->models[i]), command);
		assert_null(c->models[i].compiled);
		assert_string_equal(c->models[i].checksum, compiled->models[i].checksum);
		free(command);
	}
	/* What was compiled is the same, so that the SQL of before is good. */
	for (size_t i = 0; i < c->n_models; i++) {
		int before = catalog_find(compiled, c->models[i].dir);
		assert_true(before >= 0);
		assert_string_equal(c->models[i].made_of, compiled->models[before].made_of);
	}
	catalog_free(c);
	catalog_free(compiled);
}

#define CONFIG(c) "{\"nodes\": {\"model.p.m\": {\"config\": {" c "}}}}"
#define NODE(n)	  "{\"nodes\": {\"model.p.m\": {" n "}}}"

#define MACRO(id)                                                                                            \
	"{\"macros\": {\"" id "\": {\"macro_sql\": \"\", \"original_file_path\": \"macros/x.sql\"}}}"

static void test_why_not(void **state)
{
	static const char *const cases[][2] = {
		{CONFIG("\"pre-hook\": [{\"sql\": \"{{ that }}\"}]"), "pre-hook holds Jinja"},
		{CONFIG("\"post-hook\": [{\"sql\": \"select 1\"}]"), "hooks are not run here: \"select 1\""},
		{CONFIG("\"grants\": {\"select\": [\"x\"]}"), "grants {\"select\":[\"x\"]}"},
		{CONFIG("\"contract\": {\"enforced\": true}"), "contract is enforced"},
		{NODE("\"contract\": {\"enforced\": true}"), "contract is enforced"},
		{CONFIG("\"on_schema_change\": \"fail\""), "on_schema_change is fail"},
		{CONFIG("\"batch_size\": \"week\""), "batch_size 'week'"},
		{CONFIG("\"batch_size\": \"quarter\""), "batch_size 'quarter'"},
		{CONFIG("\"event_timezone\": \"Asia/Tokyo\""),
		 "nodes.model.p.m.config.event_timezone is \"Asia/Tokyo\"; batches are cut in UTC here"},
		{CONFIG("\"batch_time_zone\": {\"name\": \"CET\"}"), "batch_time_zone is {\"name\":\"CET\"}"},
		{CONFIG("\"batch_size\": null"), "no batch_size"},
		{CONFIG("\"event_time\": null"), "no event_time"},
		{CONFIG("\"event_time\": \"\""), "no event_time"},
		{CONFIG("\"begin\": null"), "no begin"},
		{CONFIG("\"begin\": 20200101"), "nodes.model.p.m.config.begin is 20200101"},
		{CONFIG("\"begin\": \"\""), "nodes.model.p.m.config.begin is \"\""},
		{CONFIG("\"begin\": \"soon\""), "is \"soon\", which is no time"},
		{CONFIG("\"lookback\": -1"), "nodes.model.p.m.config.lookback is -1"},
		{CONFIG("\"lookback\": \"2\""), "lookback is \"2\""},
		{CONFIG("\"lookback\": 1.5"), "lookback is 1.5"},
		{CONFIG("\"lookback\": true"), "lookback is true"},
		{CONFIG("\"sql_header\": \"set x\""), "sql_header"},
		{CONFIG("\"incremental_predicates\": [\"a\"]"), "incremental_predicates"},
		{CONFIG("\"predicates\": [\"a\"]"), "predicates"},
		{CONFIG("\"merge_exclude_columns\": [\"a\"]"), "merge_exclude_columns"},
		{NODE("\"language\": \"python\""), "python model"},
		{NODE("\"compiled_code\": null"), "`dbt compile --select m`"},
		{NODE("\"compiled_code\": \" \\n\""), "`dbt compile --select m`"},
		{NODE("\"compiled_path\": \"/nowhere/x.sql\", \"compiled_code\": null"),
		 "`dbt compile --select m`"},
		{NODE("\"raw_code\": \"{{ model.batch.id }}\""), "\"model.batch\" in models/m.sql"},
		{NODE("\"raw_code\": \"{{ model['batch'] }}\""), "\"model['batch']\" in models/m.sql"},
		{NODE("\"raw_code\": \"{% set x = model.get('batch') %}\""), "\"model.get('batch')\" in"},
		{NODE("\"raw_code\": \"{{ config.__dbt_internal_microbatch_event_time_start }}\""),
		 "\"__dbt_internal_microbatch\" in models/m.sql has a value only inside"},
		{NODE("\"raw_code\": \"{% if is_incremental() %} x {% endif %}\""),
		 "\"is_incremental()\" in"},
		{NODE("\"raw_code\": \"{% if flags.FULL_REFRESH %} x {% endif %}\""),
		 "\"flags.FULL_REFRESH\""},
		{NODE("\"depends_on\": {\"macros\": [\"macro.dbt.is_incremental\"]}"),
		 "\"is_incremental()\""},
		{NODE("\"relation_name\": null"), "relation_name"},
		{NODE("\"depends_on\": {\"nodes\": [\"source.p.raw.gone\"]}"), "source.p.raw.gone"},
		{"{\"macros\": {\"macro.p.x\": {\"macro_sql\": \"{% macro x() %}{{ is_incremental() }}{% "
		 "endmacro %}\", \"original_file_path\": \"macros/x.sql\"}},"
		 "\"nodes\": {\"model.p.m\": {\"depends_on\": {\"macros\": [\"macro.p.x\"]}}}}",
		 "\"is_incremental()\" in macros/x.sql"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct catalog *c = patched(cases[i][0]);
		assert_says(why_not(find_model(c, "m")), cases[i][1]);
		catalog_free(c);
	}
}

static void test_what_only_dbt_knows(void **state)
{
	static const char *const cases[][2] = {
		/* A guard of this kind deleted a day's rows and the batch was called done. */
		{NODE("\"raw_code\": \"{% if load_relation(this) %} and x > (select max(x)) {% endif %}\""),
		 "\"load_relation(this)\" in models/m.sql looks into the warehouse"},
		{NODE("\"raw_code\": \"{% set r = adapter.get_relation(this.database, this.schema, 'm') %}\""),
		 "\"adapter.get_relation(this.database, this.schema, 'm')\" in"},
		{NODE("\"raw_code\": \"{% set r = run_query('select (1)') %}\""),
		 "\"run_query('select (1)')\""},
		{NODE("\"raw_code\": \"{% call statement('x', fetch_result=True) %} {% endcall %}\""),
		 "\"statement('x', fetch_result=True)\""},
		{NODE("\"raw_code\": \"{{ adapter.get_columns_in_relation(this) }}\""),
		 "\"adapter.get_columns_in_relation(this)\""},
		{NODE("\"raw_code\": \"'{{ run_started_at.isoformat() }}'\""),
		 "\"run_started_at\" in models/m.sql has another value in each run"},
		{NODE("\"raw_code\": \"{% if invocation_id == 1 %}{% endif %}\""), "\"invocation_id\" in"},
		{NODE("\"raw_code\": \"{{ flags.EVENT_TIME_START }}\""), "\"flags.EVENT_TIME_START\" in"},
		{NODE("\"raw_code\": \"{{ foo(flags.WHICH) }}\""), "\"flags.WHICH\" in"},
		{NODE("\"raw_code\": \"{{ modules.datetime.datetime.utcnow() }}\""),
		 "\"modules.datetime.datetime.utcnow()\" in"},
		/* A strategy of the project's own, under all its names. */
		{MACRO("macro.p.get_incremental_microbatch_sql"),
		 "The macro get_incremental_microbatch_sql in"},
		{MACRO("macro.dbt_shop.postgres__get_incremental_microbatch_sql"),
		 "postgres__get_incremental"},
		{MACRO("macro.p.default__get_incremental_microbatch_sql"), "default__get_incremental"},
		{MACRO("macro.p.get_incremental_merge_sql"), "get_incremental_merge_sql in macros/x.sql"},
		{MACRO("macro.p.postgres__get_merge_sql"), "postgres__get_merge_sql"},
		{MACRO("macro.p.get_merge_sql"), "get_merge_sql"},
		{MACRO("macro.p.materialization_incremental_postgres"),
		 "materialization_incremental_postgres"},
		{MACRO("macro.dbt_x.materialization_incremental_default"),
		 "materialization_incremental_default"},
		{MACRO("macro.p.postgres__create_table_as"), "postgres__create_table_as"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct catalog *c = patched(cases[i][0]);
		assert_says(why_not(find_model(c, "m")), cases[i][1]);
		catalog_free(c);
	}
}

static void test_runs(void **state)
{
	static const char *const cases[] = {
		"{}",
		CONFIG("\"grants\": null, \"sql_header\": \"\", \"predicates\": [], \"on_schema_change\": "
		       "null"),
		CONFIG("\"pre-hook\": null, \"post-hook\": [{\"sql\": \"\"}], \"contract\": null"),
		CONFIG("\"lookback\": null, \"unique_key\": \"\", \"indexes\": [], \"unlogged\": false"),
		NODE("\"language\": null, \"some_new_key\": {\"a\": 1}"),
		NODE("\"raw_code\": \"select model.batch, is_incremental() from {{ ref('src') }} {# "
		     "model.batch #}\""),
		NODE("\"raw_code\": \"{% raw %}{{ model.batch }}{% endraw %} {{ model.batch_size }} {{ "
		     "ref('src') }}\""),
		/* what is only logged or configured; names that only look so */
		NODE("\"raw_code\": \"{{ config(begin=run_started_at.strftime('%Y'), x=is_incremental()) }} {% do "
		     "log(invocation_id) %}{{ log(run_query('x')) }} {{ f(invocation_id=1) }} {{ x.run_started_at "
		     "}} {{ adapter.get_columns_in_relation(ref('src')) }} {{ ref('src') }}\""),
		MACRO("macro.dbt.get_incremental_microbatch_sql"),
		MACRO("macro.dbt_postgres.postgres__get_incremental_microbatch_sql"),
		"{\"metadata\": {\"adapter_type\": \"redshift\"}, \"macros\": "
		"{\"macro.dbt_postgres.postgres__get_merge_sql\": {\"macro_sql\": \"\"}}}",
		MACRO("macro.p.my_get_merge_sql"),
		MACRO("macro.p.materialization_table_default"),
		"{\"metadata\": {\"dbt_schema_version\": "
		"\"https://schemas.getdbt.com/dbt/manifest/v9.json\"}}",
		"{\"metadata\": {\"dbt_schema_version\": "
		"\"https://schemas.getdbt.com/dbt/manifest/v31.json\"}}",
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct catalog *c = patched(cases[i]);
		if (why_not(find_model(c, "m")))
			fail_msg("%s: %s", cases[i], why_not(find_model(c, "m")));
		assert_true(find_model(c, "m")->inputs[0].filtered);
		assert_int_equal(find_model(c, "m")->lookback, 1);
		assert_null(find_model(c, "m")->unique_key[0]);
		catalog_free(c);
	}
}

static void test_begin(void **state)
{
	static const struct {
		const char *config;
		int64_t seconds;
	} cases[] = {
		{"\"batch_size\": \"day\", \"begin\": \"2020-01-01\"", 1577836800},
		{"\"batch_size\": \"day\", \"begin\": \"2020-01-01T23:59:59.999999\"", 1577836800},
		{"\"batch_size\": \"hour\", \"begin\": \"2020-01-01 05:30:00\"", 1577854800},
		/* the offset is dropped, not applied */
		{"\"batch_size\": \"hour\", \"begin\": \"2020-01-01T05:00:00+02:00\"", 1577854800},
		{"\"batch_size\": \"day\", \"begin\": \"2020-01-01T00:00:00-11:00\"", 1577836800},
		{"\"batch_size\": \"month\", \"begin\": \"2020-01-31T00:00:00Z\"", 1577836800},
		{"\"batch_size\": \"year\", \"begin\": \"2020-12-31\"", 1577836800},
		{"\"batch_size\": \"year\", \"begin\": \"1969-06-01\"", -31536000},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *patch;
		assert_true(asprintf(&patch, CONFIG("%s"), cases[i].config) > 0);
		struct catalog *c = patched(patch);
		assert_int_equal(find_model(c, "m")->begin, cases[i].seconds * 1000000);
		assert_null(why_not(find_model(c, "m")));
		catalog_free(c);
		free(patch);
	}
	struct catalog *c = patched(CONFIG("\"begin\": \"never\""));
	assert_int_equal(find_model(c, "m")->begin, INT64_MAX);
	catalog_free(c);
}

static void test_compiled_path(void **state)
{
	char *dir, *path = write_manifest("select 7", 8, &dir), *patch;
	assert_true(asprintf(&patch, NODE("\"compiled_code\": null, \"compiled_path\": \"%s\""), path) > 0);
	struct catalog *c = patched(patch);
	assert_string_equal(find_model(c, "m")->compiled, "select 7");
	catalog_free(c);
	free(patch);
	remove_manifest(path, dir);
}

static void test_code(void **state)
{
	static const char *const changes[] = {
		CONFIG("\"event_time\": \"other\""), CONFIG("\"batch_size\": \"hour\""),
		NODE("\"compiled_code\": \"select 1\""), NODE("\"relation_name\": \"a.b.c\""),
		"{\"nodes\": {\"model.p.src\": {\"config\": {\"event_time\": \"then\"}}}}"};
	struct catalog *base = patched("{}"), *same = patched(CONFIG("\"lookback\": 3"));
	assert_string_equal(find_model(base, "m")->code, find_model(same, "m")->code);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct catalog *c = patched(changes[i]);
		assert_string_not_equal(find_model(base, "m")->code, find_model(c, "m")->code);
		catalog_free(c);
	}
	catalog_free(base);
	catalog_free(same);
}

static void test_relation(void **state)
{
	struct catalog *c = patched(NODE("\"relation_name\": \"Wh.\\\"A \\\"\\\"b\\\"\\\".c\\\".Ev\""));
	const struct relation *r = &find_model(c, "m")->relation;
	assert_string_equal(r->database, "wh");
	assert_string_equal(r->schema, "A \"b\".c");
	assert_string_equal(r->identifier, "ev");
	catalog_free(c);
	c = patched(NODE("\"relation_name\": \"s.t\""));
	assert_null(find_model(c, "m")->relation.database);
	assert_string_equal(find_model(c, "m")->relation.schema, "s");
	catalog_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),	      cmocka_unit_test(test_after_run),
		cmocka_unit_test(test_why_not),	      cmocka_unit_test(test_what_only_dbt_knows),
		cmocka_unit_test(test_runs),	      cmocka_unit_test(test_begin),
		cmocka_unit_test(test_compiled_path), cmocka_unit_test(test_code),
		cmocka_unit_test(test_relation),      cmocka_unit_test(test_later_versions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/manifest_fixture.h"

#define SRC "\\\"db\\\".\\\"s\\\".\\\"src\\\""

static struct catalog *sample(void)
{
	char *path = fixture_path("fixtures/samples/manifest_after_compile.json");
	struct catalog *c = NULL;
	assert_int_equal(manifest_load(path, NULL, &c, NULL), 0);
	free(path);
	return c;
}

static void test_sample_mentions(void **state)
{
	struct catalog *c = sample();
	const struct model *m = find_model(c, "strings");
	assert_string_equal(find_input(m, "model.proj.stg_events")->mentions, "---f-");
	assert_true(find_input(m, "model.proj.stg_events")->filtered);
	m = find_model(c, "two_inputs");
	assert_string_equal(find_input(m, "model.proj.stg_events")->mentions, "f--");
	assert_string_equal(find_input(m, "source.proj.raw.events")->mentions, "-f-");
	m = find_model(c, "fct_month_eph");
	const struct input *eph = find_input(m, "model.proj.eph");
	assert_true(eph->ephemeral && eph->filtered);
	assert_string_equal(eph->relation.rendered, "__dbt__cte__eph");
	assert_string_equal(eph->mentions, "f");
	assert_string_equal(find_input(m, "model.proj.stg_events")->mentions, "-");
	assert_false(find_input(m, "model.proj.stg_events")->filtered);
	m = find_model(c, "aliased");
	assert_null(find_input(m, "seed.proj.cats")->event_time);
	assert_false(find_input(m, "seed.proj.cats")->filtered);
	catalog_free(c);
}

/* raw_code and compiled_code of `m`, which reads src -> mentions of src; why: NULL or a part of why_not. */
static const struct {
	const char *raw, *compiled, *mentions, *why;
} cases[] = {
	{"from {{ ref('src') }}", "from " SRC, "f", NULL},
	{"from {{ref(\\\"src\\\")}}", "from " SRC, "f", NULL},
	{"from {{- ref( 'p' , 'src' ) -}}", "from " SRC, "f", NULL},
	{"from {{ ref('src').render() }}", "from " SRC, "-", NULL},
	{"from {{ ref('src') . render( ) }}", "from " SRC, "-", NULL},
	{"from " SRC, "from " SRC, "-", NULL},
	{"from {{ ref('src') }}, {{ ref('src').render() }} x, " SRC, "from " SRC ", " SRC " x, " SRC, "f--",
	 NULL},
	{"{# {{ ref('src') }} #} from {{ ref('src').render() }}", "from " SRC, "-", NULL},
	{"-- depends_on: {{ ref('src') }}\\nselect 1", "-- depends_on: " SRC "\\nselect 1", "-", NULL},
	{"{% raw %}{{ ref('src') }}{% endraw %} {{ ref('src').render() }}", "{{ ref('src') }} " SRC, "-",
	 NULL},
	/* all the same, so it does not matter how often each is rendered */
	{"{% for i in [1, 2] %} {{ ref('src') }} {% endfor %}", SRC " " SRC, NULL, NULL},
	/* a variable that is but another name */
	{"{% set x = ref('src') %} from {{ x }}", "from " SRC, "f", NULL},
	{"{%- set x = ref('src') -%} from {{- x.render() -}}, {{ x }}", "from" SRC ", " SRC, "-f", NULL},
	{"{% set x = ref('src').render() %} from {{ x }}", "from " SRC, "-", NULL},
	{"{% set x = ref('src').render() %} {{ ref('src') }} {{ x }}", SRC " " SRC, "f-", NULL},
	{"{% set x = ref('src') %} from {{ x }}, " SRC, "from " SRC ", " SRC, "f-", NULL},
	{"{% set x = ref('src') %} from {{ x.schema }}.{{ x.name }}, {{ x }}", "from s.src, " SRC, "f", NULL},
	{"{% set x = ref('src') %}{% do log(x) %}{% if x.is_view %}{% endif %} from {{ x }}", "from " SRC,
	 "f", NULL},
	{"{% set x = ref('src') %}{% for i in a %}{{ x }}{% endfor %}", SRC " " SRC, NULL, NULL},
	{"{% set x = ref('src') %}select '{{ x.render() }}' from {{ ref('src') }}",
	 "select '" SRC "' from " SRC, "-f", NULL},
	{"{{ star(ref('src')) }} from {{ ref('src') }}", "a, b from " SRC, "f", NULL},
	{"{% if a %}{{ ref('src') }}{% endif %}", "select 1", NULL, NULL},
	/* what stands in a string or a comment is no table, whatever a macro makes of it */
	{"select '{{ ref('src').render() }}' from {{ ref('src') }}", "select '" SRC "' from " SRC, "-f",
	 NULL},
	{"select '{{ ref('src').identifier }}' from {{ ref('src') }}", "select 'src' from " SRC, "f", NULL},
	{"select '{{ ref('src').type }}' from {{ ref('src') }}", "select 'x' from " SRC, "f", NULL},
	{"{{ star(ref('src')) }} from {{ ref('src') }}", "'" SRC "' from " SRC, "-f", NULL},
	{"{{ named(ref('src')) }} from {{ ref('src') }}", "'" SRC "' from " SRC, "-f", NULL},
	{"{{ log(ref('src').include()) }}{% do log(ref('src').render()) %} from {{ ref('src') }}",
	 "from " SRC, "f", NULL},
	{"{% if ref('src').is_view %} {% endif %} from {{ ref('src') }}", "from " SRC, "f", NULL},
	{"from {{ ref('src') }} -- {{ this.render() }}{{ this.include(database=false) }}", "from " SRC " --",
	 "f", NULL},
	/* names that are put together have no window */
	{"from {{ ref('src').schema }}.{{ ref('src').name }}", "from s.src", "", NULL},
	{"from {{ ref('src') }}, {{ ref('src').schema }}.{{ ref('src').table }}", "from " SRC ", s.src", "f",
	 NULL},
	/* a macro that turns a relation into another makes no difference where the calls explain all */
	{"{{ plain(1) }} from {{ ref('src') }}", "1 from " SRC, "f", NULL},
	{"{{ plain(ref('src')) }} from {{ ref('src') }}", "'" SRC "' from " SRC, "-f", NULL},
	{"{{ short(ref('src')) }} from {{ ref('src') }}", "1 from " SRC, "f", NULL},
	/* these cannot be told */
	{"{% if a %}{% set x = ref('src').render() %}{% endif %} from {{ x }}", "from " SRC, NULL,
	 "\"set x = ref('src').render()\" in models/m.sql"},
	{"{% set x = ref('src') %}{% set x = y %} from {{ x.render() }}", "from " SRC, NULL,
	 "\"x.render()\" in models/m.sql"},
	{"{% set x = ref('src') %}{% for x in a %} from {{ x.render() }}{% endfor %}", "from " SRC, NULL,
	 "\"x.render()\" in models/m.sql"},
	{"from {{ x.render() }}{% set x = ref('src') %}", "from " SRC, NULL,
	 "\"x.render()\" in models/m.sql"},
	{"{% set x = ref('src') %} {{ star(x) }} from {{ x.render() }}", "a from " SRC, NULL,
	 "\"x.render()\" in models/m.sql"},
	{"{% set x = ref('src') %} from {{ x.quote(false) }}", "from db.s.src", NULL,
	 "\"x.quote(false)\" in models/m.sql"},
	{"{% for i in a %}{{ ref('src') }}{% endfor %}{{ ref('src').render() }}", SRC " " SRC " " SRC, NULL,
	 "\"ref('src').render()\" in models/m.sql"},
	{"{% if a %}{{ ref('src') }}{% else %}{{ ref('src').render() }}{% endif %}", SRC, NULL,
	 "cannot be told"},
	{"{% for i in a %}{{ ref('src') }}{% endfor %}{% if b %}{{ ref('src').render() }}{% endif %}",
	 SRC " " SRC, NULL, "cannot be told"},
	{"from {{ plain(ref('src')) }}", "from " SRC, NULL, "\"x.render()\" in macros/plain.sql"},
	{"from {{ short(ref('src')) }}", "from \\\"s\\\".\\\"src\\\"", NULL,
	 "\"x.include(database=false)\" in macros/short.sql of the package q"},
	{"from {{ ref('src').quote(false) }}", "from db.s.src", NULL, "\"ref('src').quote(false)\""},
	{"from {{ ref('src').other }}", "from x", NULL, "\"ref('src').other\""},
	{"from {{ ref(name) }}, {{ x.quote(false) }}", "from db.s.src, x", NULL, "\"x.quote(false)\""},
	/* a macro that takes the place of ref() */
	{"from {{ ref('src') }}", "from \\\"s\\\".\\\"src\\\"", NULL, "of \"ref('src')\" in models/m.sql"},
};

static void test_mentions(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *patch;
		assert_true(
			asprintf(
				&patch,
				"{\"macros\": {\"macro.p.plain\": {\"package_name\": \"p\", "
				"\"original_file_path\": \"macros/plain.sql\", \"macro_sql\": \"{{ x.render() }}\"}, "
				"\"macro.p.named\": {\"package_name\": \"p\", \"original_file_path\": "
				"\"macros/named.sql\", \"macro_sql\": \"'{{ x.render() }}'\"}, "
				"\"macro.q.short\": {\"package_name\": \"q\", \"original_file_path\": "
				"\"macros/short.sql\", \"macro_sql\": \"{{ x.include(database=false) }}\"}}, "
				"\"nodes\": {\"model.p.m\": {\"raw_code\": \"%s\", \"compiled_code\": \"%s\", "
				"\"depends_on\": {\"macros\": [%s%s%s]}}}}",
				cases[i].raw, cases[i].compiled,
				strstr(cases[i].raw, "plain(") ? "\"macro.p.plain\"" : "",
				strstr(cases[i].raw, "named(") ? "\"macro.p.named\"" : "",
				strstr(cases[i].raw, "short(") ? "\"macro.q.short\"" : "") > 0);
		struct catalog *c = patched(patch);
		const struct model *m = find_model(c, "m");
		const char *mentions = find_input(m, "model.p.src")->mentions;
		if (!cases[i].why && why_not(m))
			fail_msg("%s: %s", cases[i].raw, why_not(m));
		if (cases[i].why && !why_not(m))
			fail_msg("%s: not refused", cases[i].raw);
		if (cases[i].why)
			assert_says(why_not(m), cases[i].why);
		if (!cases[i].mentions != !mentions || (mentions && strcmp(mentions, cases[i].mentions) != 0))
			fail_msg("%s: mentions %s", cases[i].raw, mentions ? mentions : "NULL");
		catalog_free(c);
		free(patch);
	}
}

static void test_versions_and_packages(void **state)
{
	struct catalog *c = patched(
		"{\"nodes\": {\"model.q.src\": {\"resource_type\": \"model\", \"name\": \"src\", "
		"\"package_name\": \"q\","
		"\"relation_name\": \"q.src\", \"config\": {\"event_time\": \"qt\"}},"
		"\"model.p.v.v2\": {\"resource_type\": \"model\", \"name\": \"v\", \"package_name\": \"p\", "
		"\"version\": 2,"
		"\"latest_version\": 2, \"relation_name\": \"s.v_v2\", \"config\": {\"event_time\": \"t2\"}},"
		"\"model.p.v.v1\": {\"resource_type\": \"model\", \"name\": \"v\", \"package_name\": \"p\", "
		"\"version\": 1,"
		"\"latest_version\": 2, \"relation_name\": \"s.v_v1\", \"config\": {\"event_time\": \"t1\"}},"
		"\"model.p.m\": {\"depends_on\": {\"nodes\": [\"model.p.src\", \"model.q.src\", "
		"\"model.p.v.v1\","
		"\"model.p.v.v2\"]}, \"raw_code\": \"{{ ref('q', 'src').render() }} {{ ref('src') }} {{ "
		"ref('v') }}"
		" {{ ref('v', v=1).render() }} {{ ref('v', version='2').render() }}\","
		"\"compiled_code\": \"q.src \\\"db\\\".\\\"s\\\".\\\"src\\\" s.v_v2 s.v_v1 s.v_v2\"}}}");
	const struct model *m = find_model(c, "m");
	assert_null(why_not(m));
	assert_string_equal(find_input(m, "model.q.src")->mentions, "-");
	assert_string_equal(find_input(m, "model.p.src")->mentions, "f");
	assert_string_equal(find_input(m, "model.p.v.v1")->mentions, "-");
	assert_string_equal(find_input(m, "model.p.v.v2")->mentions, "f-");
	catalog_free(c);
}

static void test_event_times(void **state)
{
	struct catalog *c = patched("{\"nodes\": {\"model.p.src\": {\"columns\": {\"At\": {\"quote\": "
				    "true}}, \"config\": {\"event_time\": \"At\"}},"
				    "\"model.p.m\": {\"depends_on\": {\"nodes\": [\"model.p.src\", "
				    "\"source.p.raw.ev\", \"test.p.t\", \"gone\"]}}}}");
	const struct model *m = find_model(c, "m");
	assert_int_equal(m->n_inputs, 2);
	assert_string_equal(find_input(m, "model.p.src")->event_time, "\"At\"");
	assert_string_equal(find_input(m, "source.p.raw.ev")->event_time, "seen_at");
	assert_string_equal(find_input(m, "source.p.raw.ev")->relation.identifier, "events");
	assert_false(find_input(m, "source.p.raw.ev")->filtered);
	catalog_free(c);
	c = patched("{\"nodes\": {\"model.p.src\": {\"config\": {\"event_time\": null}}}}");
	assert_false(find_input(find_model(c, "m"), "model.p.src")->filtered);
	catalog_free(c);
}

/* ref().include() names the relation otherwise, and dbt filters it all the same. */
static void test_include(void **state)
{
	struct catalog *c = patched(
		"{\"nodes\": {\"model.p.m\": {\"raw_code\": \"from {{ ref('src').include(database=false) }} join "
		"{{ ref('src').include(database=False, schema=False).render() }} join {{ ref('src') }} join "
		"{{ ref('src').include(database=true) }}\", \"compiled_code\": \"from \\\"s\\\".\\\"src\\\" join "
		"\\\"src\\\" join " SRC " join " SRC "\"}}}");
	const struct model *m = find_model(c, "m");
	assert_null(why_not(m));
	assert_int_equal(m->n_inputs, 3);
	assert_string_equal(m->inputs[0].mentions, "ff");
	assert_string_equal(m->inputs[1].relation.rendered, "\"s\".\"src\"");
	assert_string_equal(m->inputs[1].unique_id, "model.p.src");
	assert_string_equal(m->inputs[1].mentions, "f");
	assert_true(m->inputs[1].filtered && !m->inputs[1].whole);
	assert_string_equal(m->inputs[2].relation.rendered, "\"src\"");
	assert_string_equal(m->inputs[2].mentions, "-");
	assert_true(m->inputs[2].whole);
	assert_false(model_loses_outside(m));
	catalog_free(c);
	c = patched(
		"{\"nodes\": {\"model.p.m\": {\"raw_code\": \"from {{ ref('src').include(database=false) }}\", "
		"\"compiled_code\": \"from \\\"s\\\".\\\"src\\\"\"}}}");
	m = find_model(c, "m");
	assert_null(why_not(m));
	assert_true(model_loses_outside(m));
	catalog_free(c);
}

/* dbt-core, _resolve_event_time_field_name: the column's own word, else the source's. */
static void test_quoting(void **state)
{
	static const struct {
		const char *columns, *quoting, *source, *model;
	} said[] = {
		{"{}", "{}", "At", "At"},
		{"{}", "{\"column\": true}", "\"At\"", "At"},
		{"{}", "{\"column\": false}", "At", "At"},
		{"{}", "{\"column\": null}", "At", "At"},
		{"{\"At\": {\"name\": \"At\", \"quote\": true}}", "{}", "\"At\"", "\"At\""},
		{"{\"At\": {\"name\": \"At\", \"quote\": true}}", "{\"column\": false}", "\"At\"", "\"At\""},
		{"{\"At\": {\"name\": \"At\", \"quote\": false}}", "{\"column\": true}", "At", "At"},
		{"{\"At\": {\"name\": \"At\", \"quote\": null}}", "{\"column\": true}", "\"At\"", "At"},
		{"{\"at\": {\"name\": \"at\", \"quote\": true}}", "{}", "At", "At"},
		{"{\"at\": {\"name\": \"at\", \"quote\": false}}", "{\"column\": true}", "\"At\"", "At"},
	};
	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
		char *patch;
		assert_true(
			asprintf(&patch,
				 "{\"sources\": {\"source.p.raw.ev\": {\"config\": {\"event_time\": "
				 "\"At\"}, \"columns\": %s, \"quoting\": %s}}, \"nodes\": {\"model.p.m\": "
				 "{\"columns\": %s, \"config\": {\"event_time\": \"At\"}, \"depends_on\": "
				 "{\"nodes\": [\"source.p.raw.ev\"]}}}}",
				 said[i].columns, said[i].quoting, said[i].columns) > 0);
		struct catalog *c = patched(patch);
		const struct model *m = find_model(c, "m");
		assert_string_equal(m->inputs[0].event_time, said[i].source);
		/* A model has no quoting of its own. */
		assert_string_equal(m->event_time, said[i].model);
		catalog_free(c);
		free(patch);
	}
}

/* m reads `node` as {{ REF }}: is `up` an upstream, and windowed? -1: it is none. */
static int windowed(const char *node, const char *ref, const char *compiled, const char *extra)
{
	char *patch;
	assert_true(asprintf(&patch,
			     "{\"nodes\": {%s \"model.p.m\": {\"depends_on\": {\"nodes\": [%s]}, "
			     "\"raw_code\": \"{{ %s }}\","
			     "\"compiled_code\": \"%s\"}}}",
			     extra, node, ref, compiled) > 0);
	struct catalog *c = patched(patch);
	const struct model *m = find_model(c, "m");
	int answer = -1;
	assert_true(m->n_upstreams <= 1);
	if (m->n_upstreams) {
		assert_string_equal(c->models[m->upstreams[0].place].dir, "up");
		answer = m->upstreams[0].windowed;
	}
	catalog_free(c);
	free(patch);
	return answer;
}

#define UP   "\\\"db\\\".\\\"s\\\".\\\"up\\\""
#define LOOK "\\\"db\\\".\\\"s\\\".\\\"look\\\""
#define EPH(et)                                                                                              \
	"\"model.p.eph\": {\"config\": {\"event_time\": " et                                                 \
	"}, \"depends_on\": {\"nodes\": [\"model.p.up\"]}},"

static void test_upstreams(void **state)
{
	static const char cte[] = "with __dbt__cte__eph as (select * from " UP ") __dbt__cte__eph";
	assert_int_equal(windowed("\"model.p.up\"", "ref('up')", UP, ""), 1);
	assert_int_equal(windowed("\"model.p.up\"", "ref('up').render()", UP, ""), 0);
	assert_int_equal(windowed("\"model.p.look\"", "ref('look')", LOOK, ""), 1);
	assert_int_equal(windowed("\"model.p.look\"", "ref('look').render()", LOOK, ""), 0);
	assert_int_equal(windowed("\"model.p.look\"", "ref('look')", LOOK,
				  "\"model.p.look\": {\"config\": {\"event_time\": null}},"),
			 0);
	assert_int_equal(windowed("\"model.p.look\"", "ref('look')", LOOK,
				  "\"model.p.look\": {\"config\": {\"materialized\": \"table\"}},"),
			 -1);
	assert_int_equal(windowed("\"model.p.eph\"", "ref('eph')", cte, EPH("\"at\"")), 1);
	assert_int_equal(windowed("\"model.p.eph\"", "ref('eph')", cte, EPH("null")), 0);
	/* one way goes through a filter, the other does not */
	assert_int_equal(windowed("\"model.p.up\", \"model.p.eph\"", "ref('up')", UP, EPH("null")), 0);
	/* a graph that goes round in circles */
	assert_int_equal(
		windowed("\"model.p.look\"", "ref('look')", LOOK,
			 "\"model.p.look\": {\"depends_on\": {\"nodes\": [\"model.p.eph\", \"model.p.up\"]}},"
			 "\"model.p.eph\": {\"depends_on\": {\"nodes\": [\"model.p.look\"]}},"),
		1);
}

static void test_reads_itself(void **state)
{
	struct catalog *c =
		patched("{\"nodes\": {\"model.p.m\": {\"compiled_code\": \"select * from "
			"\\\"db\\\".\\\"s\\\".\\\"m\\\"\", \"raw_code\": \"select * from {{ this }}\"}}}");
	assert_true(find_model(c, "m")->reads_itself);
	catalog_free(c);
	c = patched("{\"nodes\": {\"model.p.m\": {\"compiled_code\": \"select 1 -- "
		    "\\\"db\\\".\\\"s\\\".\\\"m\\\"\"}}}");
	assert_false(find_model(c, "m")->reads_itself);
	catalog_free(c);
}

static void test_graph(void **state)
{
	struct catalog *c = sample();
	assert_int_equal(c->n_nodes, 23);
	size_t sources = 0;
	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct node *n = &c->nodes[i];
		assert_true(!i || strcmp(c->nodes[i - 1].unique_id, n->unique_id) < 0);
		for (size_t k = 0; k < n->n_parents; k++)
			assert_in_range(n->parents[k], 0, c->n_nodes - 1);
		sources += n->source_name != NULL;
		if (strcmp(n->unique_id, "model.proj.down") == 0) {
			assert_int_equal(n->n_parents, 1);
			assert_string_equal(c->nodes[n->parents[0]].unique_id, "model.proj.fct_day");
			assert_string_equal(n->materialized, "view");
			assert_string_equal(n->tags[0], "nightly");
		}
	}
	assert_int_equal(sources, 1);
	catalog_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample_mentions),
		cmocka_unit_test(test_mentions),
		cmocka_unit_test(test_versions_and_packages),
		cmocka_unit_test(test_event_times),
		cmocka_unit_test(test_quoting),
		cmocka_unit_test(test_include),
		cmocka_unit_test(test_upstreams),
		cmocka_unit_test(test_reads_itself),
		cmocka_unit_test(test_graph),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

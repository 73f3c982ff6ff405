/* SPDX-License-Identifier: Apache-2.0 */
/* What the config says of a target besides its rows: hooks, contract, rights, comments, indexes. */
#include "tests/unit/manifest_fixture.h"

#define CONFIG(c) "{\"nodes\": {\"model.p.m\": {\"config\": {" c "}}}}"
#define NODE(n)	  "{\"nodes\": {\"model.p.m\": {" n "}}}"
#define HOOK(sql) CONFIG("\"pre-hook\": [{\"sql\": \"" sql "\", \"transaction\": true}]")

static void hooks_are_rendered_where_that_takes_no_dbt(void **state)
{
	static const char *const cases[][2] = {
		{"select make_partition();", "select make_partition();"},
		{"analyze {{ this }}", "analyze \"db\".\"s\".\"m\""},
		{"analyze {{this}} ;", "analyze \"db\".\"s\".\"m\" ;"},
		{"analyze {{- this -}} ; x", "analyze\"db\".\"s\".\"m\"; x"},
		{"{{ this.render() }} {{ this.schema }}.{{ this.identifier }} {{ this.name }} {{ this.table }} "
		 "{{this.database}}",
		 "\"db\".\"s\".\"m\" s.m m m db"},
		{"{{ this.include(database=false) }} {{ this.include(database = False, schema=false) }} "
		 "{{ this.include(false) }} {{ this.include(schema=true) }}",
		 "\"s\".\"m\" \"m\" \"s\".\"m\" \"db\".\"s\".\"m\""},
		{"select 1 {# nothing #}", "select 1 "},
		{"{% raw %}{{ this }}{% endraw %}", "{{ this }}"},
		{"{{ that }}", NULL},
		{"{{ this or that }}", NULL},
		{"{{ this.include(database=x) }}", NULL},
		{"{{ this.quote() }}", NULL},
		{"{{ this.render }}", NULL},
		{"{{ this.schema() }}", NULL},
		{"{{ this | upper }}", NULL},
		{"{% if target.name == 'prod' %} analyze {{ this }} {% endif %}", NULL},
		{"grant select on {{ this }} to {{ var('who') }}", NULL},
		{"{{ log('x') }}", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *patch;
		assert_true(asprintf(&patch, HOOK("%s"), cases[i][0]) > 0);
		struct catalog *c = patched(patch);
		const struct model *m = find_model(c, "m");
		assert_int_equal(m->n_hooks, 1);
		assert_string_equal(m->hooks[0].text, cases[i][0]);
		assert_int_equal(m->hooks[0].sql != NULL, cases[i][1] != NULL);
		if (cases[i][1])
			assert_string_equal(m->hooks[0].sql, cases[i][1]);
		assert_says(why_not(m), cases[i][1] ? "It has a pre-hook, and hooks are not run here"
						    : "Its pre-hook holds Jinja, which only dbt can render");
		catalog_free(c);
		free(patch);
	}
}

static void hooks_keep_their_order_and_are_cut_into_statements(void **state)
{
	struct catalog *c = patched(CONFIG(
		"\"post-hook\": [{\"sql\": \"vacuum {{ this }}\", \"transaction\": false}, {\"sql\": \"-- "
		"nothing\"}], "
		"\"pre-hook\": [{\"sql\": \"select ';'; /* ; */ select $$;$$;; -- end\", "
		"\"transaction\": true}, "
		"\"select 2\", {\"sql\": \"{% if x %}\", \"transaction\": null}]"));
	const struct model *m = find_model(c, "m");
	assert_int_equal(m->n_hooks, 4);
	const struct hook *first = &m->hooks[0], *last = &m->hooks[3];
	assert_false(first->post);
	assert_true(first->transaction);
	assert_string_equal(first->statements[0], "select ';'");
	assert_string_equal(first->statements[1], " /* ; */ select $$;$$");
	assert_null(first->statements[2]);
	assert_string_equal(m->hooks[1].statements[0], "select 2");
	assert_true(m->hooks[1].transaction && m->hooks[2].transaction && !m->hooks[2].sql);
	assert_true(last->post && !last->transaction);
	assert_string_equal(last->sql, "vacuum \"db\".\"s\".\"m\"");
	catalog_free(c);
	c = patched(CONFIG("\"pre-hook\": [{\"transaction\": true}]"));
	assert_says(why_not(find_model(c, "m")), "config.pre-hook[0].sql is missing");
	catalog_free(c);
}

#define COLUMNS                                                                                              \
	"\"columns\": {\"id\": {\"name\": \"id\", \"data_type\": \"bigint\", \"description\": \"The key\", " \
	"\"constraints\": [{\"type\": \"not_null\"}, {\"type\": \"check\", \"expression\": \"id > 0\"}, "    \
	"{\"type\": \"check\"}, {\"type\": \"unique\", \"expression\": \"nulls not distinct\"}]}, "          \
	"\"At\": {\"name\": \"At\", \"quote\": true, \"data_type\": \"String\", \"description\": \"\", "     \
	"\"constraints\": [{\"type\": \"foreign_key\", \"to\": \"ref('src')\", \"to_columns\": [\"x\", "     \
	"\"y\"]}, {\"type\": \"custom\", \"expression\": \"collate \\\"C\\\"\"}]}}"

static void a_contract_is_ddl_as_dbt_writes_it(void **state)
{
	struct catalog *c = patched(
		NODE(COLUMNS
		     ", \"contract\": {\"enforced\": true, \"alias_types\": true}, \"constraints\": ["
		     "{\"type\": \"primary_key\", \"columns\": [\"id\", \"At\"]}, "
		     "{\"type\": \"unique\", \"name\": \"u\", \"columns\": [\"id\"], \"expression\": \"nulls "
		     "not distinct\"}, "
		     "{\"type\": \"foreign_key\", \"columns\": [\"id\"], \"to\": \"\\\"db\\\".\\\"s\\\".o\", "
		     "\"to_columns\": [\"id\"]}, "
		     "{\"type\": \"check\", \"name\": \"c\", \"expression\": \"id > 1\"}, {\"type\": "
		     "\"not_null\"}]"));
	const struct model *m = find_model(c, "m");
	assert_true(m->contract);
	assert_int_equal(m->n_columns, 2);
	const struct column_config *id = &m->columns[0], *at = &m->columns[1];
	assert_string_equal(id->name, "id");
	assert_string_equal(id->type, "bigint");
	assert_string_equal(id->constraints[0], "not null");
	assert_string_equal(id->constraints[1], "check (id > 0)");
	assert_string_equal(id->constraints[2], "unique nulls not distinct");
	assert_null(id->constraints[3]);
	assert_true(at->quote && !id->quote);
	assert_string_equal(at->type, "TEXT");
	assert_string_equal(at->constraints[0], "references \"db\".\"s\".\"src\" (x, y)");
	assert_string_equal(at->constraints[1], "collate \"C\"");
	static const char *const table[] = {
		"primary key (id, At)", "constraint u unique nulls not distinct (id)",
		"foreign key (id) references \"db\".\"s\".o (id)", "constraint c check (id > 1)"};
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(m->constraints[i], table[i]);
	assert_null(m->constraints[4]);
	assert_says(why_not(m), "contract is enforced");
	catalog_free(c);
	c = patched(NODE(COLUMNS ", \"contract\": {\"enforced\": true, \"alias_types\": false}"));
	assert_string_equal(find_model(c, "m")->columns[1].type, "String");
	catalog_free(c);
	c = patched(NODE("\"columns\": {\"id\": {\"name\": \"id\"}}, \"contract\": {\"enforced\": true}"));
	assert_says(why_not(find_model(c, "m")), "columns.id.data_type is missing, and an enforced contract");
	catalog_free(c);
	c = patched(NODE(COLUMNS));
	assert_int_equal(find_model(c, "m")->n_columns, 0);
	assert_null(find_model(c, "m")->constraints[0]);
	catalog_free(c);
}

static void the_target_is_described(void **state)
{
	struct catalog *c = patched(NODE(
		COLUMNS
		", \"description\": \"All of it\", \"config\": {\"persist_docs\": {\"relation\": true, "
		"\"columns\": true}, \"grants\": {\"select\": [\"a\", \"b\"], \"insert\": \"c\", \"update\": []}, "
		"\"sql_header\": \"set x = 1;\", \"unlogged\": true, \"on_schema_change\": \"sync_all_columns\", "
		"\"indexes\": [{\"columns\": [\"lower(kind)\", \"ts desc\"], \"unique\": true, \"type\": "
		"\"BTREE\"}]}"));
	const struct model *m = find_model(c, "m");
	assert_string_equal(m->comment, "All of it");
	assert_true(m->column_docs && m->unlogged);
	assert_string_equal(m->columns[0].description, "The key");
	assert_string_equal(m->columns[1].description, "");
	assert_int_equal(m->n_grants, 3);
	assert_string_equal(m->grants[0].privilege, "select");
	assert_string_equal(m->grants[0].roles[1], "b");
	assert_string_equal(m->grants[1].roles[0], "c");
	assert_null(m->grants[2].roles[0]);
	assert_string_equal(m->sql_header, "set x = 1;");
	assert_int_equal(m->on_schema_change, SCHEMA_SYNC);
	assert_string_equal(m->indexes[0].columns[0], "lower(kind)");
	assert_string_equal(m->indexes[0].columns[1], "ts desc");
	assert_string_equal(m->indexes[0].type, "BTREE");
	catalog_free(c);
	struct catalog *plain = patched("{}");
	c = patched(CONFIG("\"sql_header\": \"set x = 1\""));
	assert_string_not_equal(find_model(plain, "m")->code, find_model(c, "m")->code);
	catalog_free(c);
	catalog_free(plain);
	/* What dbt takes for `ignore`, with a warning. */
	c = patched(CONFIG("\"on_schema_change\": \"append\""));
	assert_int_equal(find_model(c, "m")->on_schema_change, SCHEMA_IGNORE);
	assert_null(why_not(find_model(c, "m")));
	catalog_free(c);
	c = patched(CONFIG("\"grants\": {\"select\": 7}"));
	assert_says(why_not(find_model(c, "m")), "config.grants.select is 7");
	catalog_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hooks_are_rendered_where_that_takes_no_dbt),
		cmocka_unit_test(hooks_keep_their_order_and_are_cut_into_statements),
		cmocka_unit_test(a_contract_is_ddl_as_dbt_writes_it),
		cmocka_unit_test(the_target_is_described),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

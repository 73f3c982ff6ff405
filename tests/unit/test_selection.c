/* SPDX-License-Identifier: Apache-2.0 */
/* Agreement with dbt itself is test_dbt_selection.py's; here: wildcards, walks, order, refusals. */
#include "tests/unit/manifest_fixture.h"

#include "backend/selection.h"
#include "backend/selection/glob.h"

static void test_wildcards(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} cases[] = {
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"a*", "abc", true},
		{"*c", "abc", true},
		{"*b", "abc", false},
		{"a*b*c", "aXbYbZc", true},
		{"a**c", "ac", true},
		{"?", "é", true},
		{"??", "é", false},
		{"[é]", "é", true},
		{"[à-ü]", "é", true},
		{"[a-c]x", "bx", true},
		{"[!a-c]x", "bx", false},
		{"[!a-c]x", "dx", true},
		{"[^a]", "^", true},
		{"[^a]", "b", false},
		{"[]]", "]", true},
		{"[!]]", "]", false},
		{"[a-]", "-", true},
		{"[c-a]", "b", false},
		{"[a", "[a", true},
		{"[!]", "[!]", true},
		{"\\*", "\\x", true},
		{"\\*", "*", false},
		{"A", "a", false},
		{".*", ".a", true},
		{"\xc3", "\xc3", true},
		{"?", "\xff", true},
		{"[[:alpha:]]", "a", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		if (glob_text(cases[i].pattern, cases[i].text) != cases[i].match)
			fail_msg("'%s' on '%s' is not %d", cases[i].pattern, cases[i].text, cases[i].match);
	}
}

static void test_wildcards_end(void **state)
{
	/* Goes wrong again and again at each star: it must not take exponential time. */
	char text[2001], pattern[101];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < sizeof(pattern) - 1; i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[sizeof(pattern) - 2] = 'b';
	pattern[sizeof(pattern) - 1] = '\0';
	assert_false(glob_text(pattern, text));
}

static void test_paths(void **state)
{
	static const struct {
		const char *pattern, *path;
		bool directory, match;
	} cases[] = {
		{"models", "models", true, true},
		{"models/", "models/", true, true},
		{"./models//a", "models/a", false, true},
		{"models", "models/a", false, false},
		{"*/a", "models/a", false, true},
		{"*", "models/a", false, false},
		{"**", "", true, true},
		{"**", "a/b", true, true},
		{"**", "a/b", false, false},
		{"a/**/c", "a/c", false, true},
		{"a/**/c", "a/b/b/c", false, true},
		{"**/b/**/d", "a/b/c/b/d", false, true},
		{"**/b/d", "a/b/c/b/d", false, true},
		{"a/**/c/d", "a/c/c", false, false},
		{"../a", "a", false, false},
		{"a[", "a[", false, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *path = cases[i].path;
		if (glob_path(cases[i].pattern, path, strlen(path), cases[i].directory) != cases[i].match)
			fail_msg("'%s' on '%s' is not %d", cases[i].pattern, path, cases[i].match);
	}
}

/* A chain a -> b -> ... of microbatch models, written against their order. */
#define CHAIN 6

struct chain {
	struct catalog catalog;
	struct node nodes[CHAIN];
	struct model models[CHAIN];
	const char *fqns[CHAIN][3];
	const char *no_tags[1];
	int parents[CHAIN];
};

static const char *const names[CHAIN] = {"f", "e", "d", "c", "b", "a"};

static struct chain *make_chain(void)
{
	struct chain *t = calloc(1, sizeof(*t));
	assert_non_null(t);
	for (int i = 0; i < CHAIN; i++) {
		t->parents[i] = i + 1;
		t->fqns[i][0] = "p";
		t->fqns[i][1] = names[i];
		t->models[i] = (struct model){.dir = names[i], .node = i};
		t->nodes[i] = (struct node){.unique_id = names[i],
					    .name = names[i],
					    .package = "p",
					    .resource_type = "model",
					    .fqn = t->fqns[i],
					    .tags = t->no_tags,
					    .path = "models/x.sql",
					    .config = "\n",
					    .place = i,
					    .parents = &t->parents[i],
					    .n_parents = i + 1 < CHAIN};
	}
	t->catalog = (struct catalog){
		.project = "p", .models = t->models, .n_models = CHAIN, .nodes = t->nodes, .n_nodes = CHAIN};
	return t;
}

/* want: the models in their order, each a letter. */
static void assert_order(const struct catalog *c, const char *expression, const char *want)
{
	struct selection s;
	struct error err = {0};
	char got[CHAIN + 1] = "";
	if (selection_resolve(c, expression, &s, &err))
		fail_msg("%s: %s", expression, err.text);
	for (size_t i = 0; i < s.n_models; i++)
		strcat(got, c->models[s.models[i]].dir);
	if (strcmp(got, want) != 0)
		fail_msg("'%s' is '%s', not '%s'", expression, got, want);
	for (size_t i = 1; i < s.n_nodes; i++)
		assert_true(s.nodes[i - 1] < s.nodes[i]);
	selection_fini(&s);
	assert_null(s.nodes);
}

static void test_walks(void **state)
{
	static const char *const cases[][2] = {
		{"c", "c"},
		{"+c", "abc"},
		{"c+", "cdef"},
		{"+c+", "abcdef"},
		{"1+c", "bc"},
		{"c+2", "cde"},
		{"1+c+1", "bcd"},
		{"0+c+0", "c"},
		{"2+e f", "cdef"},
		{"@f", "abcdef"},
		{"+c,b+", "bc"},
		{"a,b", ""},
		{"a  c ", "ac"},
		{"", ""},
		{" ", ""},
		{"+d --exclude b", "acd"},
		{"--exclude b+", "a"},
		{"+d --exclude a,b c", "abd"},
		{"+d --exclude a --exclude c", "bd"},
		{"9999999999999999999+f", "abcdef"},
		{"nothing", ""},
		{"--exclude x", "abcdef"},
		{"a --exclude a", ""},
		{" --exclude a+1  f ", "cde"},
	};
	struct chain *t = make_chain();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_order(&t->catalog, cases[i][0], cases[i][1]);
	free(t);
}

static void test_order_passes_what_is_not_selected(void **state)
{
	struct chain *t = make_chain();
	assert_order(&t->catalog, "f a", "af");
	/* A cycle cannot come from dbt; it must end all the same, with every model in the order once. */
	t->parents[CHAIN - 1] = 0;
	t->nodes[CHAIN - 1].n_parents = 1;
	struct selection s;
	assert_int_equal(selection_resolve(&t->catalog, "@c", &s, NULL), 0);
	assert_int_equal(s.n_models, CHAIN);
	selection_fini(&s);
	free(t);
}

static void test_refusals(void **state)
{
	static const char *const cases[][2] = {
		{"@c+", "do not go together"},
		{"a @c+3", "'@c+3' is no selection"},
		{"tags:x", "'tags' is not one of dbt's methods"},
		{"a --exclude", "nothing follows --exclude"},
		{"--exclude", "nothing follows --exclude"},
		{"a --exclude --exclude b", "nothing follows --exclude"},
		{"a --select b", "'--select' is no selection: the only option"},
		{"source:a.b.c.d", "PACKAGE.SOURCE.TABLE"},
		{"metric:a.b.c", "PACKAGE.NAME"},
		{"resource_type:table", "no such resource type"},
		{"version:2", "latest, prerelease, old or none"},
		{"test_type:x", "generic, singular"},
		{"path:/models", "starts at the project's directory"},
		{"path:", "starts at the project's directory"},
		{"state:modified", "--state"},
		{"selector:x", "selectors.yml"},
		{"a\nb", "line break"},
	};
	struct chain *t = make_chain();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct selection s;
		struct error err = {0};
		int r = selection_resolve(&t->catalog, cases[i][0], &s, &err);
		if (r != -EINVAL)
			fail_msg("'%s' gave %d", cases[i][0], r);
		assert_says(err.text, cases[i][1]);
		assert_null(s.nodes);
		assert_int_equal(s.n_models, 0);
	}
	free(t);
}

static void test_names_that_are_not_rebuilt(void **state)
{
	struct chain *t = make_chain();
	for (int i = 0; i < 4; i++)
		t->nodes[i].place = -1;
	t->nodes[0].version = "2";
	t->nodes[1].name = t->nodes[2].name = "twice";
	t->nodes[2].package = "other";
	t->nodes[3].resource_type = "snapshot";
	struct selection s;
	assert_int_equal(selection_resolve(&t->catalog, "*", &s, NULL), 0);
	assert_int_equal(s.n_nodes, CHAIN);
	assert_int_equal(s.n_models, 2);
	assert_int_equal(s.n_not_rebuilt, 3);
	assert_string_equal(s.not_rebuilt[0], "f.v2");
	assert_string_equal(s.not_rebuilt[1], "other.twice");
	assert_string_equal(s.not_rebuilt[2], "p.twice");
	selection_fini(&s);
	free(t);
}

static const struct node *find_node(const struct catalog *c, const char *unique_id)
{
	for (size_t i = 0; i < c->n_nodes; i++) {
		if (strcmp(c->nodes[i].unique_id, unique_id) == 0)
			return &c->nodes[i];
	}
	fail_msg("no node %s", unique_id);
	return NULL;
}

static void test_what_a_manifest_gives(void **state)
{
	struct catalog *c = patched(
		"{\"nodes\": {\"model.p.m\": {\"access\": \"protected\", \"version\": 2, \"latest_version\": "
		"10, "
		"\"patch_path\": \"p://models/x.yml\", \"config\": {\"tags\": [\"a\", \"b c\", 1, true], "
		"\"meta\": {\"owner\": \"me\", \"deep\": {\"er\": false}, \"a.b\": \"x\", \"none\": "
		"null}}}}, "
		"\"exposures\": {\"exposure.p.board\": {\"resource_type\": \"exposure\", \"name\": "
		"\"board\", "
		"\"package_name\": \"p\", \"fqn\": [\"p\", \"board\"], \"depends_on\": {\"nodes\": "
		"[\"model.p.m\"]}}}}");
	const struct node *n = find_node(c, "model.p.m");
	assert_string_equal(n->access, "protected");
	assert_string_equal(n->patch_path, "models/x.yml");
	assert_int_equal(n->age, VERSION_OLD);
	assert_says(n->config, "\ntags=a\ntags!true\n");
	assert_says(n->config, "\nmeta.owner=me\n");
	assert_says(n->config, "\nmeta.deep.er!false\n");
	assert_null(strstr(n->config, "a.b"));
	assert_null(strstr(n->config, "none"));
	assert_null(strstr(n->config, "begin="));
	n = find_node(c, "exposure.p.board");
	assert_int_equal(n->n_parents, 1);
	assert_string_equal(c->nodes[n->parents[0]].unique_id, "model.p.m");
	catalog_free(c);
}

/* What is no relation hangs on to the graph without becoming an input of a model. */
static void test_a_function_is_no_input(void **state)
{
	struct catalog *plain = patched("{}");
	const struct model *m = find_model(plain, "m");
	size_t inputs = m->n_inputs;
	assert_null(why_not(m));
	catalog_free(plain);
	struct catalog *c = patched(
		"{\"functions\": {\"function.p.f\": {\"resource_type\": \"function\", \"name\": \"f\", "
		"\"package_name\": \"p\", \"fqn\": [\"p\", \"f\"]}}, \"nodes\": {\"model.p.m\": "
		"{\"depends_on\": "
		"{\"nodes\": [\"function.p.f\", \"model.p.src\"]}}}}");
	m = find_model(c, "m");
	assert_int_equal(m->n_inputs, inputs);
	assert_null(why_not(m));
	assert_int_equal(c->nodes[m->node].n_parents, 2);
	catalog_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wildcards),
		cmocka_unit_test(test_wildcards_end),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_walks),
		cmocka_unit_test(test_order_passes_what_is_not_selected),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_names_that_are_not_rebuilt),
		cmocka_unit_test(test_what_a_manifest_gives),
		cmocka_unit_test(test_a_function_is_no_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

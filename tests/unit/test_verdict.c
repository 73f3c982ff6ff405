/* SPDX-License-Identifier: Apache-2.0 */
/* The verdict, on models that need one thing each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "backend/verdict.h"

/* What an engine without this one kind of need says; every other kind is supported. */
static void without(enum need_kind kind, struct strbuf *out)
{
	const struct need need = {.kind = kind, .where = "WHERE", .text = "TEXT", .words = "WORDS"};
	const struct model m = {.needs = &need};
	uint64_t all = SUPPORTS(NEED_KINDS) - 1;
	assert_true(verdict_builds(&m, all));
	verdict_why_not(&m, all, out);
	assert_int_equal(out->len, 0);
	assert_false(verdict_builds(&m, all & ~SUPPORTS(kind)));
	verdict_why_not(&m, all & ~SUPPORTS(kind), out);
}

/* Each kind has a sentence of its own: it says what to do, or that only dbt can. */
static void every_kind_has_its_sentence(void **state)
{
	static const char *const ways_out[] = {"dbt", "set ", "take it out", "write each"};
	struct strbuf said[NEED_KINDS];
	for (int k = 0; k < NEED_KINDS; k++) {
		bool way = false;
		said[k] = (struct strbuf)STRBUF_INIT;
		without((enum need_kind)k, &said[k]);
		for (size_t i = 0; i < sizeof ways_out / sizeof *ways_out; i++)
			way |= strstr(said[k].str, ways_out[i]) != NULL;
		if (!way || said[k].str[said[k].len - 1] == '.')
			fail_msg("kind %d: \"%s\"", k, said[k].str);
		for (int other = 0; other < k; other++)
			assert_string_not_equal(said[k].str, said[other].str);
	}
	for (int k = 0; k < NEED_KINDS; k++)
		strbuf_fini(&said[k]);
}

static void what_is_wrong_comes_first_and_nothing_twice(void **state)
{
	const struct need grants = {.kind = NEED_GRANTS, .where = "grants", .text = "{}", .words = ""};
	const struct need again = {
		.next = &grants, .kind = NEED_HOOK, .where = "pre-hook", .text = "select 1", .words = ""};
	const struct need hook = {
		.next = &again, .kind = NEED_HOOK, .where = "pre-hook", .text = "select 1", .words = ""};
	const struct model m = {.wrong = "The model has no begin", .needs = &hook};
	auto_strbuf out = STRBUF_INIT;
	assert_false(verdict_builds(&m, ~UINT64_C(0))); /* nobody can build what is wrong */
	verdict_why_not(&m, 0, &out);
	assert_ptr_equal(strstr(out.str, "The model has no begin. It has a pre-hook"), out.str);
	assert_non_null(strstr(out.str, "hook out. Its config has grants {}"));
	assert_null(strstr(strstr(out.str, "pre-hook") + 1, "pre-hook"));
	strbuf_clear(&out);
	verdict_why_not(&m, SUPPORTS(NEED_HOOK) | SUPPORTS(NEED_GRANTS), &out);
	assert_string_equal(out.str, "The model has no begin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_has_its_sentence),
		cmocka_unit_test(what_is_wrong_comes_first_and_nothing_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind has its line of traits, and a word of its own that is read back as the same kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/kinds.h"

/* A word that no other kind has; read: what it is read back as. */
#define KINDS_ARE_WORDS(count, type, word_of, parse)                                                         \
	for (int i = 0; i < (count); i++) {                                                                  \
		type read = (type)(i + 1);                                                                   \
		assert_non_null(word_of((type)i));                                                           \
		assert_true(strlen(word_of((type)i)) > 0);                                                   \
		assert_true(parse(word_of((type)i), &read));                                                 \
		assert_int_equal(read, i);                                                                   \
		for (int j = 0; j < i; j++)                                                                  \
			assert_string_not_equal(word_of((type)i), word_of((type)j));                         \
	}

#define REQUEST_WORD(kind)    request_traits(kind)->word
#define SETTLE_WORD(kind)     settle_traits(kind)->word
#define BUILD_WORD(outcome)   build_traits(outcome)->word
#define STATE_PARSE(text, to) batch_state_parse(text, strlen(text), to)

static void words(void **state)
{
	(void)state;
	KINDS_ARE_WORDS(REQUEST_KINDS, enum request_kind, REQUEST_WORD, request_kind_parse)
	KINDS_ARE_WORDS(SETTLE_KINDS, enum settle_kind, SETTLE_WORD, settle_kind_parse)
	KINDS_ARE_WORDS(BUILD_OUTCOMES, enum build_outcome, BUILD_WORD, build_outcome_parse)
	KINDS_ARE_WORDS(BATCH_STATES, enum batch_state, batch_state_name, STATE_PARSE)
}

static void no_word_of_a_kind(void **state)
{
	enum request_kind request;
	enum settle_kind settle;
	enum build_outcome outcome;
	enum batch_state batch;
	(void)state;
	assert_false(request_kind_parse("", &request));
	assert_false(request_kind_parse("rebuild", &request));
	assert_false(settle_kind_parse("started", &settle));
	assert_false(build_outcome_parse("cancelled", &outcome));
	assert_false(batch_state_parse("don", 3, &batch));
}

/* What belongs together in any kind that will ever be added. */
static void traits_agree(void **state)
{
	(void)state;
	for (int i = 0; i < REQUEST_KINDS; i++) {
		const struct request_traits *t = request_traits((enum request_kind)i);
		assert_false(t->builds && (t->freezes || t->stops));
		assert_false(t->freezes && t->recorded);
		assert_true(t->scope == SCOPE_RANGE || !t->builds);
		assert_true(!t->clears_queue || t->freezes);
	}
	for (int i = 0; i < SETTLE_KINDS; i++) {
		const struct settle_traits *t = settle_traits((enum settle_kind)i);
		assert_false(t->back && (t->spoils || t->of_queued));
	}
	for (int i = 0; i < BUILD_OUTCOMES; i++) {
		const struct build_traits *t = build_traits((enum build_outcome)i);
		assert_true(t->final || !(t->goes_on || t->reason));
		assert_false(t->goes_on && t->reason);
	}
	for (int i = 0; i < BATCH_STATES; i++) {
		const struct batch_state_traits *t = batch_state_traits((enum batch_state)i);
		enum row_outcome outcome = state_outcome((enum batch_state)i);
		assert_true(t->unsettled + t->wrong + t->built <= 1);
		assert_int_equal(t->built, outcome == OUTCOME_DONE);
		assert_int_equal(t->wrong, outcome == OUTCOME_FAILED || outcome == OUTCOME_SKIPPED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(no_word_of_a_kind),
		cmocka_unit_test(traits_agree),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

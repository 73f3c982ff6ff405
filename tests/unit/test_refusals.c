/* SPDX-License-Identifier: Apache-2.0 */
/* Which refusal stands in which document, and who pushes whose away: nobody another user's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "backend/refusals.h"

static int64_t now;

static void refuse(struct refusals *t, struct backend_file file, uid_t uid, const char *message)
{
	struct report_refusal r = {.at = ++now, .err = 1};

	snprintf(r.message, sizeof r.message, "%s", message);
	refusals_add(t, &file, uid, &r);
}

static struct backend_file of(slot model, ordinal first, ordinal end)
{
	return (struct backend_file){.model = model, .batches = {first, end}};
}

static void assert_says(const struct report_refusal *r, const char *message)
{
	if (!message)
		assert_null(r);
	else if (!r || strcmp(r->message, message) != 0)
		fail_msg("\"%s\", not \"%s\"", r ? r->message : "nothing", message);
}

static int set_up(void **state)
{
	static struct refusals t;

	refusals_init(&t);
	*state = &t;
	return 0;
}

static int tear_down(void **state)
{
	refusals_fini(*state);
	return 0;
}

static void a_document_shows_what_lies_in_its_file(void **state)
{
	struct refusals *t = *state;

	refuse(t, of(1, 5, 6), 7, "batch");
	refuse(t, of(1, 4, 8), 7, "range");
	refuse(t, of(1, 0, 0), 7, "directory");
	refuse(t, (struct backend_file){.model = 1, .full_refresh = true}, 7, "refresh");
	refuse(t, of(2, 5, 6), 7, "another model");
	assert_says(refusals_of_batch(t, 1, 5), "batch");
	assert_says(refusals_of_batch(t, 1, 4), NULL);
	assert_says(refusals_of_range(t, 1, (struct ordinal_range){4, 8}), "range");
	assert_says(refusals_of_range(t, 1, (struct ordinal_range){5, 7}), "batch");
	assert_says(refusals_of_range(t, 1, (struct ordinal_range){6, 100}), NULL);
	assert_says(refusals_of_full_refresh(t, 1), "refresh");
	assert_says(refusals_of_model(t, 1), "refresh");
	assert_says(refusals_of_model(t, 3), NULL);
	assert_says(refusals_of_root(t), "another model");
}

static void a_selection_is_not_its_first_model(void **state)
{
	struct refusals *t = *state;
	struct backend_file file = {.model = SLOT_NONE, .selection = "tag:x", .name = "2024-09"};

	refuse(t, file, 7, "selection");
	assert_says(refusals_of_selection(t, "tag:x", NULL), "selection");
	assert_says(refusals_of_selection(t, "tag:x", "2024-09"), "selection");
	assert_says(refusals_of_selection(t, "tag:x", "2024"), NULL);
	assert_says(refusals_of_selection(t, "tag:y", NULL), NULL);
	assert_says(refusals_of_model(t, 0), NULL);
	assert_says(refusals_of_root(t), "selection");
}

static void nobody_pushes_another_users_away(void **state)
{
	struct refusals *t = *state;

	refuse(t, of(1, 5, 6), 7, "mine");
	for (ordinal o = 0; o < 2000; o++)
		refuse(t, of(1, 100 + o, 101 + o), 8, "junk");
	for (int i = 0; i < 40; i++)
		refuse(t, (struct backend_file){.model = SLOT_NONE, .lookup = true}, 8, "look");
	assert_says(refusals_of_batch(t, 1, 5), "mine");
	assert_says(refusals_of_batch(t, 1, 100), NULL);
	assert_says(refusals_of_batch(t, 1, 2099), "junk");
	assert_true(t->n <= 1 + REFUSALS_A_USER);
	/* And where there is no room for all users, those with many lose first. */
	for (uid_t uid = 100; uid < 200; uid++)
		for (ordinal o = 0; o < 20; o++)
			refuse(t, of(2, o, o + 1), uid, "many");
	assert_int_equal(t->n, REFUSALS_KEPT);
	assert_says(refusals_of_batch(t, 1, 5), "mine");
}

static void a_look_up_stands_behind_requests_of_others(void **state)
{
	struct refusals *t = *state;
	struct backend_file look = {.model = SLOT_NONE, .lookup = true};

	refuse(t, look, 8, "look");
	assert_says(refusals_of_root(t), "look");
	refuse(t, of(1, 5, 6), 7, "request");
	refuse(t, look, 8, "another look");
	assert_says(refusals_of_root(t), "request");
	refuse(t, look, 7, "my own look");
	assert_says(refusals_of_root(t), "my own look");
	/* So it is in a model, and in a selection. */
	look.model = 1;
	refuse(t, look, 8, "not there");
	assert_says(refusals_of_model(t, 1), "request");
	assert_says(refusals_of_model(t, 2), NULL);
	look.model = 2;
	refuse(t, look, 8, "nor here");
	assert_says(refusals_of_model(t, 2), "nor here");
	look = (struct backend_file){.model = SLOT_NONE, .selection = "tag:x", .lookup = true};
	refuse(t, look, 8, "selected nothing");
	assert_says(refusals_of_selection(t, "tag:x", NULL), "selected nothing");
	assert_says(refusals_of_selection(t, "tag:x", "2024"), NULL);
	assert_says(refusals_of_selection(t, "tag:y", NULL), NULL);
}

static void the_newest_of_a_file_is_kept(void **state)
{
	struct refusals *t = *state;

	refuse(t, of(1, 5, 6), 7, "first");
	refuse(t, of(1, 5, 6), 8, "second");
	assert_says(refusals_of_batch(t, 1, 5), "second");
	refuse(t, of(1, 5, 6), 7, "third");
	assert_int_equal(t->n, 2);
	assert_says(refusals_of_batch(t, 1, 5), "third");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_document_shows_what_lies_in_its_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_selection_is_not_its_first_model, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_pushes_another_users_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_look_up_stands_behind_requests_of_others, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_newest_of_a_file_is_kept, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

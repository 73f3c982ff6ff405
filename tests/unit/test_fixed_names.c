/* SPDX-License-Identifier: Apache-2.0 */
/* The table of fixed names: every line leads to nodes that lead back to it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/fixed_names.h"
#include "fs/name.h"

static void test_lines_are_found_by_name_and_by_node(void **state)
{
	const struct fixed_name *f;

	for (unsigned i = 0; (f = fixed_name(i)); i++) {
		struct node out,
			n = {.kind = f->kind, .model = f->in == NODE_MODEL ? 7 : -1, .fixed = (uint8_t)i};
		unsigned number = UINT32_MAX;
		assert_ptr_equal(fixed_find(f->in, f->text, &number), f);
		assert_int_equal(number, i);
		assert_true(node_traits(&n)->fixed);
		assert_true(node_parse(node_id(&n), &out));
		assert_ptr_equal(fixed_of(&out), f);
		assert_int_equal(n.kind != NODE_HISTORY, !!f->render + !!f->open);
		for (unsigned j = 0; j < i; j++)
			if (fixed_name(j)->in == f->in) {
				struct node other = n;
				other.kind = fixed_name(j)->kind;
				other.fixed = (uint8_t)j;
				assert_int_not_equal(node_ino(&other), node_ino(&n));
			}
	}
}

static void test_what_no_line_makes(void **state)
{
	struct node unknown = {.kind = NODE_DOCUMENT, .model = 7, .fixed = NODE_FIXED_MAX};
	struct node batch = {.kind = NODE_BATCH, .model = 7};
	struct node elsewhere = {.kind = NODE_DOCUMENT, .model = 7};
	unsigned number;

	assert_null(fixed_find(NODE_ROOT, ".model", &number));
	assert_null(fixed_find(NODE_MODEL, "2024-09-01", &number));
	assert_non_null(fixed_find(NODE_ROOT, ".status", &number));
	elsewhere.fixed = (uint8_t)number;
	assert_null(fixed_of(&elsewhere));
	assert_null(fixed_of(&unknown));
	assert_null(fixed_of(&batch));
}

static void test_no_batch_has_such_a_name(void **state)
{
	const struct fixed_name *f;
	struct name name;

	for (unsigned i = 0; (f = fixed_name(i)); i++) {
		assert_int_equal(name_parse(BATCH_DAY, f->text, &name), -ENOENT);
		assert_int_equal(name_parse_in_selection(f->text, &name), -ENOENT);
	}
}

static void test_every_kind_has_traits(void **state)
{
	for (int kind = 0; kind < NODE_KINDS; kind++) {
		struct node n = {.kind = (enum node_kind)kind};
		assert_true(node_traits(&n)->of_model || node_traits(&n)->of_others);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_found_by_name_and_by_node),
		cmocka_unit_test(test_what_no_line_makes),
		cmocka_unit_test(test_no_batch_has_such_a_name),
		cmocka_unit_test(test_every_kind_has_traits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What fs/ remembers: ranges, names the kernel may hold, graces, open files. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/handle.h"
#include "fs/kernel_cache.h"
#include "fs/name_grace.h"
#include "fs/node.h"
#include "fs/range.h"
#include "fs/selection.h"

#define FAILED	suffix_of(BATCH_FAILED)
#define QUEUED	suffix_of(BATCH_QUEUED)
#define RUNNING suffix_of(BATCH_RUNNING)
#define BIT(s)	(1u << (s))

static int intern(struct ranges *t, uint64_t dir, const char *text, size_t len, struct span span,
		  uint32_t *id, struct range *out)
{
	const struct name name = {.kind = NODE_RANGE, .span = span, .len = len};

	return ranges_intern(t, dir, text, &name, id, out);
}

static void test_ranges(void **state)
{
	struct ranges t;
	struct range r;
	uint32_t a, b, c;

	ranges_init(&t);
	assert_int_equal(intern(&t, 0, "2024-09.sql", 7, (struct span){1, 31}, &a, &r), 0);
	assert_string_equal(r.name, "2024-09");
	assert_int_equal(intern(&t, 0, "2024-09", 7, (struct span){1, 31}, &b, &r), 0);
	assert_int_equal(a, b);
	assert_int_equal(intern(&t, 1, "2024-09", 7, (struct span){1, 31}, &c, &r), 0);
	assert_int_not_equal(a, c);
	ranges_forget(&t, a, 1);
	assert_true(ranges_get(&t, a, &r));
	assert_int_equal(r.span.end_us, 31);
	ranges_forget(&t, a, 1);
	assert_false(ranges_get(&t, a, &r));
	/* The slot may be used again, the id not. */
	assert_int_equal(intern(&t, 0, "2024-09", 7, (struct span){1, 31}, &b, &r), 0);
	assert_int_not_equal(a, b);
	assert_true(ranges_new_alias(&t, b, &r));
	assert_int_equal(r.alias, 0);
	assert_true(ranges_get(&t, b, &r));
	assert_int_equal(r.alias, 1);
	ranges_fini(&t);
}

static void test_ranges_are_bounded(void **state)
{
	struct ranges t;
	struct range r;
	char name[32];
	uint32_t first = 0, second = 0, id;

	ranges_init(&t);
	for (int i = 0; i < RANGES_MAX; i++) {
		int len = snprintf(name, sizeof(name), "range %d", i);
		assert_int_equal(intern(&t, 0, name, (size_t)len, (struct span){0, 1}, &id, &r), 0);
		assert_true(id <= NODE_ORDINAL_MAX);
		first = i == 0 ? id : first;
		second = i == 1 ? id : second;
	}
	assert_true(ranges_get(&t, first, &r)); /* used now: the second is the oldest */
	assert_int_equal(intern(&t, 0, "one more", 8, (struct span){0, 1}, &id, &r), 0);
	assert_true(ranges_get(&t, first, &r));
	assert_false(ranges_get(&t, second, &r));
	assert_int_equal(intern(&t, 0, name, RANGE_NAME_MAX, (struct span){0, 1}, &id, &r), -ENAMETOOLONG);
	ranges_fini(&t);
}

static struct backend_selection selected(slot model)
{
	struct backend_selection s = {.models = malloc(sizeof(int)), .n_models = 1};

	s.models[0] = model;
	return s;
}

static void test_selections(void **state)
{
	struct selections t;
	struct backend_selection s = selected(7);
	uint32_t a, b;

	selections_init(&t);
	assert_false(selections_find(&t, "tag:x", &a));
	assert_int_equal(selections_add(&t, "tag:x", &s, &a), 0);
	assert_true(selections_find(&t, "tag:x", &b));
	assert_int_equal(a, b);
	selections_forget(&t, a, 1);
	struct selection_dir *held = selections_get(&t, a);
	assert_non_null(held);
	assert_string_equal(held->text, "tag:x");
	assert_int_equal(selections_run_alias(&t, a), 0);
	selections_new_run_alias(&t, a);
	assert_int_equal(selections_run_alias(&t, a), 1);
	selections_forget(&t, a, 1);
	assert_null(selections_get(&t, a));
	assert_false(selections_find(&t, "tag:x", &b));
	/* Who holds it still has it. */
	assert_int_equal(held->selected.models[0], 7);
	selection_put(held);
	/* The slot may be used again, the id not. */
	s = selected(8);
	assert_int_equal(selections_add(&t, "tag:x", &s, &b), 0);
	assert_int_not_equal(a, b);
	selections_fini(&t);
}

static void test_selections_are_bounded(void **state)
{
	struct selections t;
	char text[32];
	uint32_t first = 0, second = 0, id;

	selections_init(&t);
	for (int i = 0; i <= SELECTIONS_MAX; i++) {
		struct backend_selection s = selected(i);
		snprintf(text, sizeof(text), "tag:%d", i);
		if (i == SELECTIONS_MAX) /* used now: the second is the oldest */
			selection_put(selections_get(&t, first));
		assert_int_equal(selections_add(&t, text, &s, &id), 0);
		assert_true(id <= NODE_ORDINAL_MAX);
		first = i == 0 ? id : first;
		second = i == 1 ? id : second;
	}
	struct selection_dir *held = selections_get(&t, first);
	assert_non_null(held);
	selection_put(held);
	assert_null(selections_get(&t, second));
	selections_forget(&t, second, 1);
	assert_true(selections_find(&t, text, &id));
	selections_fini(&t);
}

static void test_kernel_cache_tells_of_old_names(void **state)
{
	const ordinal base = 10 * KERNEL_CACHE_CHUNK, batch = base + 5;
	struct kernel_cache k;
	struct kernel_cache_view view;
	struct kernel_cache_work work;
	uint8_t queued = QUEUED;
	int64_t next;

	kernel_cache_init(&k);
	assert_false(kernel_cache_changed(&k, 0, base, batch, batch + 1, &queued, 0, &view));
	assert_int_equal(kernel_cache_mark(&k, 0, batch, 0), 0);
	assert_int_equal(kernel_cache_mark(&k, 0, batch, FAILED), 0);
	assert_true(kernel_cache_changed(&k, 0, base, batch, batch + 1, &queued, 0, &view));
	assert_int_equal(view.seen[5], BIT(0) | BIT(FAILED));
	assert_true(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(work.base, base);
	assert_int_equal(work.expire[5], BIT(FAILED));
	assert_int_equal(work.refresh[5], 0);
	/* Told once; and again by the echo. */
	assert_false(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(next, KERNEL_CACHE_ECHO_US);
	assert_true(kernel_cache_take(&k, KERNEL_CACHE_ECHO_US, &work, &next));
	assert_int_equal(work.expire[5], BIT(FAILED));
	assert_int_equal(work.refresh[5], BIT(0) | BIT(FAILED));
	assert_false(kernel_cache_take(&k, KERNEL_CACHE_ECHO_US, &work, &next));
	assert_int_equal(next, INT64_MAX);
	kernel_cache_fini(&k);
}

static void test_kernel_cache_keeps_the_present_name(void **state)
{
	struct kernel_cache k;
	struct kernel_cache_view view;
	struct kernel_cache_work work;
	uint8_t failed = FAILED;
	int64_t next;

	kernel_cache_init(&k);
	kernel_cache_mark(&k, 3, 7, FAILED);
	assert_true(kernel_cache_changed(&k, 3, 0, 7, 8, &failed, 0, &view));
	assert_true(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(work.expire[7], 0);
	kernel_cache_refresh(&k, 3, 7, QUEUED);
	assert_true(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(work.expire[7], BIT(FAILED));
	assert_int_equal(work.refresh[7], BIT(FAILED));
	kernel_cache_fini(&k);
}

static void test_kernel_cache_alias(void **state)
{
	struct kernel_cache k;
	struct kernel_cache_work work;
	int64_t next;

	kernel_cache_init(&k);
	kernel_cache_mark(&k, 0, 7, 0);
	kernel_cache_new_alias(&k, 0, 7);
	assert_int_equal(kernel_cache_mark(&k, 0, 7, FAILED), 1);
	assert_int_equal(kernel_cache_mark(&k, 0, 8, FAILED), 0);
	assert_true(kernel_cache_take(&k, 0, &work, &next));
	assert_int_equal(work.drop[7], BIT(0));
	assert_int_equal(work.alias[7], 1);
	kernel_cache_fini(&k);
}

static void test_grace_of_an_accepted_name(void **state)
{
	struct name_graces c;

	name_graces_init(&c);
	assert_int_equal(name_grace_left(&c, 0, 1, FAILED, 10), 0);
	name_grace_accepted(&c, 0, 1, FAILED, 10);
	assert_int_equal(name_grace_left(&c, 0, 1, FAILED, 10), NAME_GRACE_ACCEPTED_US);
	assert_int_equal(name_grace_left(&c, 0, 1, FAILED, 10 + NAME_GRACE_ACCEPTED_US), 0);
	assert_int_equal(name_grace_left(&c, 0, 1, suffix_of(BATCH_PENDING), 10), 0);
	assert_int_equal(name_grace_left(&c, 0, 2, FAILED, 10), 0);
	assert_int_equal(name_grace_left(&c, 1, 1, FAILED, 10), 0);
	name_graces_fini(&c);
}

static void test_grace_of_the_settled(void **state)
{
	struct name_graces c;

	name_graces_init(&c);
	/* It was never seen busy: nothing has settled. */
	name_grace_seen(&c, 0, 1, false, 5);
	assert_int_equal(name_grace_left(&c, 0, 1, QUEUED, 5), 0);
	name_grace_seen(&c, 0, 1, true, 10);
	assert_int_equal(name_grace_left(&c, 0, 1, QUEUED, 10), NAME_GRACE_SETTLED_US);
	assert_int_equal(name_grace_left(&c, 0, 1, RUNNING, 10), 0);
	name_grace_seen(&c, 0, 1, false, 20);
	assert_int_equal(name_grace_left(&c, 0, 1, QUEUED, 20), NAME_GRACE_SETTLED_US);
	assert_int_equal(name_grace_left(&c, 0, 1, RUNNING, 21), NAME_GRACE_SETTLED_US - 1);
	assert_int_equal(name_grace_left(&c, 0, 1, FAILED, 20), 0);
	assert_int_equal(name_grace_left(&c, 0, 1, QUEUED, 20 + NAME_GRACE_SETTLED_US), 0);
	name_graces_fini(&c);
}

static void test_graces_are_bounded(void **state)
{
	struct name_graces c;

	name_graces_init(&c);
	for (ordinal o = 0; o <= NAME_GRACES_MAX; o++)
		name_grace_accepted(&c, 0, o, FAILED, 10);
	assert_int_equal(c.count, NAME_GRACES_MAX);
	assert_int_equal(name_grace_left(&c, 0, 0, FAILED, 10), 0);
	assert_true(name_grace_left(&c, 0, NAME_GRACES_MAX, FAILED, 10) > 0);
	/* What is over goes with the next. */
	name_grace_accepted(&c, 0, 0, FAILED, 10 + NAME_GRACE_ACCEPTED_US);
	assert_int_equal(c.count, 1);
	name_graces_fini(&c);
}

static void test_handles(void **state)
{
	struct handles t;
	struct handle_writes w;

	handles_init(&t);
	uint64_t a = handle_new(&t, 11, 1), b = handle_new(&t, 12, 1), c = handle_new(&t, 12, 1);
	assert_true(a && b && c && a != b && b != c);
	assert_false(handle_writes(&t, 0, &w));
	assert_false(handle_has_text(&t, 99));
	handle_set_writes(&t, a, &(struct handle_writes){.triggered = true, .reasoned = true});
	handle_set_ticket(&t, a, 7);
	assert_true(handle_writes(&t, a, &w));
	assert_true(w.triggered && w.ticket == 7);
	handle_undo(&t, a, true);
	handle_writes(&t, a, &w);
	assert_true(w.triggered && !w.reasoned);
	assert_true(handle_is_open(&t, 11));
	handle_drop(&t, a);
	assert_false(handle_is_open(&t, 11));
	assert_true(handle_is_open(&t, 12));
	/* The slot is used again; the old number stays unknown, and nothing is left in it. */
	uint64_t d = handle_new(&t, 13, 1);
	assert_int_equal((uint32_t)d, (uint32_t)a);
	assert_int_not_equal(d, a);
	assert_false(handle_writes(&t, a, &w));
	handle_set_ticket(&t, a, 9);
	assert_true(handle_writes(&t, d, &w));
	assert_false(w.triggered);
	assert_int_equal(w.ticket, 0);
	assert_false(handle_has_text(&t, d));
	handles_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_ranges_are_bounded),
		cmocka_unit_test(test_selections),
		cmocka_unit_test(test_selections_are_bounded),
		cmocka_unit_test(test_kernel_cache_tells_of_old_names),
		cmocka_unit_test(test_kernel_cache_keeps_the_present_name),
		cmocka_unit_test(test_kernel_cache_alias),
		cmocka_unit_test(test_grace_of_an_accepted_name),
		cmocka_unit_test(test_grace_of_the_settled),
		cmocka_unit_test(test_graces_are_bounded),
		cmocka_unit_test(test_handles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

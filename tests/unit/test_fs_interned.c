/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of what is interned, and who gets an inode of his own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/interned.h"
#include "fs/own_inode.h"

static const struct node model = {.kind = NODE_MODEL, .model = 3};

static struct node intern(struct interned *t, const struct node *dir, enum node_kind kind, const char *text,
			  size_t len)
{
	const struct name name = {.kind = kind, .span = {1, 31}, .len = len};
	struct node n = {.kind = kind, .model = dir->model};

	assert_int_equal(interned_range(t, dir, text, &name, &n), 0);
	return n;
}

/* What the kernel sends comes back as the node that it stands for. */
static bool resolves(struct interned *t, const struct node *n)
{
	struct node out;

	assert_true(node_parse(node_id(n), &out));
	if (!interned_resolve(t, &out))
		return false;
	assert_int_equal(node_id(&out), node_id(n));
	assert_int_equal(out.model, n->model);
	assert_int_equal(out.ordinal, n->ordinal);
	assert_int_equal(out.suffix, n->suffix);
	assert_int_equal(out.interned, n->interned);
	return true;
}

static void test_ranges(void **state)
{
	const struct node other = {.kind = NODE_MODEL, .model = 4};
	struct interned t;
	struct range r;

	interned_init(&t);
	struct node sql = intern(&t, &model, NODE_RANGE_SQL, "2024-09.sql", 7);
	struct node range = intern(&t, &model, NODE_RANGE, "2024-09", 7);
	assert_int_equal(sql.interned, range.interned);
	assert_int_not_equal(node_ino(&sql), node_ino(&range));
	assert_true(resolves(&t, &sql) && resolves(&t, &range));
	assert_true(interned_get_range(&t, range.interned, &r));
	assert_string_equal(r.name, "2024-09");
	assert_int_equal(r.span.end_us, 31);
	assert_int_equal(r.dir.model, 3);
	struct node elsewhere = intern(&t, &other, NODE_RANGE, "2024-09", 7);
	assert_int_not_equal(range.interned, elsewhere.interned);
	assert_int_not_equal(interned_range_key(&t, range.interned),
			     interned_range_key(&t, elsewhere.interned));
	/* Two look-ups were counted. */
	uint64_t key = interned_range_key(&t, range.interned);
	interned_forget(&t, range.interned, 1);
	assert_true(resolves(&t, &range));
	interned_forget(&t, range.interned, 1);
	assert_false(resolves(&t, &range));
	struct node again = intern(&t, &model, NODE_RANGE, "2024-09", 7);
	assert_true(again.interned > elsewhere.interned);
	assert_int_equal(interned_range_key(&t, again.interned), key);
	assert_false(resolves(&t, &range));
	interned_fini(&t);
}

static struct backend_selection selected(slot first)
{
	struct backend_selection s = {.models = malloc(sizeof(slot)), .n_models = 1};

	s.models[0] = first;
	return s;
}

static void test_selections(void **state)
{
	struct interned t;
	struct backend_selection s = selected(7);
	struct node dir = {.kind = NODE_SELECTION, .model = SLOT_NONE},
		    run = {.kind = NODE_RUN, .model = SLOT_NONE};
	uint64_t again;

	interned_init(&t);
	assert_false(interned_find_selection(&t, "tag:x", &dir.interned));
	assert_int_equal(interned_add_selection(&t, "tag:x", &s, &dir.interned), 0);
	assert_true(interned_find_selection(&t, "tag:x", &again));
	assert_int_equal(dir.interned, again);
	run.interned = dir.interned;
	assert_true(interned_count(&t, run.interned));
	assert_true(resolves(&t, &dir) && resolves(&t, &run));
	interned_forget(&t, dir.interned, 2);
	/* Its .run is still known to the kernel. */
	struct selection_dir *held = interned_get_selection(&t, dir.interned);
	assert_non_null(held);
	assert_string_equal(held->text, "tag:x");
	interned_forget(&t, run.interned, 1);
	assert_null(interned_get_selection(&t, dir.interned));
	assert_false(interned_count(&t, dir.interned));
	/* Who holds it still has it. */
	assert_int_equal(held->selected.models[0], 7);
	selection_put(held);
	s = selected(8);
	assert_int_equal(interned_add_selection(&t, "tag:x", &s, &again), 0);
	assert_int_not_equal(dir.interned, again);
	assert_false(resolves(&t, &dir));
	interned_fini(&t);
}

/* A second inode is the file's own, with the suffix it was looked up by, and keeps what the file is interned
 * as. */
static void test_aliases(void **state)
{
	struct interned t;
	struct node batch = {.kind = NODE_BATCH, .model = 3, .ordinal = 738885, .suffix = 2}, other = batch;
	uint64_t ino = node_ino(&batch);

	interned_init(&t);
	assert_int_equal(interned_alias(&t, &batch), 0);
	assert_int_equal(interned_alias(&t, &other), 0);
	assert_int_not_equal(batch.alias, other.alias);
	assert_int_equal(node_ino(&batch), ino);
	assert_true(resolves(&t, &batch) && resolves(&t, &other));
	interned_forget(&t, batch.alias, 1);
	assert_false(resolves(&t, &batch));
	struct node range = intern(&t, &model, NODE_RANGE, "2024-09", 7), first = range;
	range = intern(&t, &model, NODE_RANGE, "2024-09", 7);
	assert_int_equal(interned_alias(&t, &range), 0);
	interned_forget(&t, first.interned, 1);
	assert_true(resolves(&t, &range) && resolves(&t, &first));
	interned_forget(&t, range.alias, 1);
	assert_false(resolves(&t, &range) || resolves(&t, &first));
	interned_fini(&t);
}

/* Half a million names of a reader who never lets go: no id is given twice, and the memory is bounded. */
static void test_bounds(void **state)
{
	struct interned t;
	struct node told, first = {.interned = 0}, last = first;
	char name[32];
	unsigned surplus = 0;

	interned_init(&t);
	for (unsigned i = 0; i < 500000; i++) {
		snprintf(name, sizeof(name), "range %u", i);
		struct node n = intern(&t, &model, NODE_RANGE, name, strlen(name));
		assert_true(n.interned > last.interned);
		first = i == 0 ? n : first;
		last = n;
		while (interned_take_surplus(&t, &told)) {
			/* The oldest first, each once. */
			assert_int_equal(told.interned, ++surplus);
		}
		assert_true(t.bytes <= INTERNED_HARD_BYTES && t.untold_bytes <= INTERNED_SOFT_BYTES);
	}
	assert_true(surplus > 400000);
	assert_false(resolves(&t, &first));
	assert_true(resolves(&t, &last));
	interned_forget(&t, first.interned, 1); /* it comes late */
	interned_fini(&t);
}

static void test_what_is_looked_up_again_is_told_again(void **state)
{
	struct interned t;
	struct node told;

	interned_init(&t);
	t.soft = 0;
	struct node a = intern(&t, &model, NODE_RANGE, "2024-09", 7);
	assert_true(interned_take_surplus(&t, &told));
	assert_int_equal(told.interned, a.interned);
	assert_false(interned_take_surplus(&t, &told));
	assert_true(resolves(&t, &a)); /* it is open */
	assert_false(interned_has_surplus(&t));
	intern(&t, &model, NODE_RANGE, "2024-09", 7);
	assert_true(interned_has_surplus(&t));
	assert_true(interned_take_surplus(&t, &told));
	interned_fini(&t);
}

static void test_who_is_sent_back_comes_again(void **state)
{
	struct own_inodes t;

	own_inodes_init(&t);
	assert_false(own_inode_is_due(&t, 1, 100, 0));
	assert_true(own_inode_send_back(&t, 1, 100, 0));
	/* He alone, of that file alone, however often: the kernel looks twice. */
	assert_true(own_inode_is_due(&t, 1, 100, 5) && own_inode_is_due(&t, 1, 100, 5));
	assert_false(own_inode_is_due(&t, 1, 101, 5) || own_inode_is_due(&t, 2, 100, 5));
	own_inode_arrived(&t, 1, 100);
	assert_false(own_inode_is_due(&t, 1, 100, 5));
	/* Who has no name to look up is served the second time. */
	assert_true(own_inode_send_back(&t, 1, 100, 10));
	assert_false(own_inode_send_back(&t, 1, 100, 11));
	assert_true(own_inode_send_back(&t, 1, 100, 12));
	assert_true(own_inode_send_back(&t, 1, 100, 12 + OWN_INODE_SENT_US));
	own_inodes_fini(&t);
}

static void test_those_without_a_number_are_sent_back_each(void **state)
{
	struct own_inodes t;

	own_inodes_init(&t);
	assert_true(own_inode_send_back(&t, 1, 0, 0) && own_inode_send_back(&t, 1, 0, 1));
	own_inode_arrived(&t, 1, 0);
	assert_true(own_inode_is_due(&t, 1, 0, 2));
	own_inode_arrived(&t, 1, 0);
	assert_false(own_inode_is_due(&t, 1, 0, 2));
	own_inodes_fini(&t);
}

static void test_a_locked_inode_is_nobodys(void **state)
{
	struct own_inodes t;

	own_inodes_init(&t);
	assert_true(own_inode_locked(&t, 1) && own_inode_locked(&t, 1));
	own_inode_unlocked(&t, 1);
	assert_true(own_inode_is_locked(&t, 1) && own_inode_some_locked(&t));
	assert_true(own_inode_is_due(&t, 1, 100, 0));
	assert_false(own_inode_is_locked(&t, 2));
	own_inode_unlocked(&t, 1);
	assert_false(own_inode_is_locked(&t, 1) || own_inode_some_locked(&t) ||
		     own_inode_is_due(&t, 1, 100, 0));
	own_inodes_fini(&t);
}

static void test_those_sent_back_are_bounded(void **state)
{
	struct own_inodes t;

	own_inodes_init(&t);
	for (pid_t thread = 1; thread <= OWN_INODE_SENT_MAX + 1; thread++)
		assert_true(own_inode_send_back(&t, 1, thread, 0));
	assert_false(own_inode_is_due(&t, 1, 1, 0));
	assert_true(own_inode_is_due(&t, 1, 2, 0));
	own_inodes_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_selections),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_what_is_looked_up_again_is_told_again),
		cmocka_unit_test(test_who_is_sent_back_comes_again),
		cmocka_unit_test(test_those_without_a_number_are_sent_back_each),
		cmocka_unit_test(test_a_locked_inode_is_nobodys),
		cmocka_unit_test(test_those_sent_back_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

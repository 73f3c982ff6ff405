/* SPDX-License-Identifier: Apache-2.0 */
/* Inode numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fs/handle.h"
#include "fs/kernel_cache.h"
#include "fs/node.h"

#define FAILED suffix_of(BATCH_FAILED)

static void assert_round_trip(struct node n)
{
	struct node out;

	assert_true(node_parse(node_id(&n), &out));
	assert_int_equal(out.kind, n.kind);
	assert_int_equal(out.model, n.model);
	assert_int_equal(out.ordinal, n.ordinal);
	assert_int_equal(out.suffix, n.suffix);
	assert_int_equal(out.fixed, n.fixed);
	assert_int_equal(out.interned, n.alias ? n.alias : n.interned);
}

static void test_node_round_trip(void **state)
{
	const uint64_t last_id = (UINT64_C(1) << 52) - 1;

	assert_round_trip((struct node){.kind = NODE_BATCH, .model = 7, .ordinal = 738885, .suffix = 3});
	assert_round_trip((struct node){.kind = NODE_MODEL});
	assert_round_trip((struct node){.kind = NODE_BATCH,
					.model = NODE_MODELS_MAX - 1,
					.ordinal = NODE_ORDINAL_MAX,
					.suffix = NODE_SUFFIXES - 1});
	assert_round_trip((struct node){.kind = NODE_RUN, .model = 7, .fixed = NODE_FIXED_MAX});
	assert_round_trip((struct node){.kind = NODE_LINK, .model = 7});
	/* What an id stands for is not in the number. */
	assert_round_trip((struct node){.kind = NODE_SELECTION, .model = SLOT_NONE, .interned = last_id});
	assert_round_trip((struct node){.kind = NODE_RUN, .model = SLOT_NONE, .fixed = 8, .interned = 1});
	assert_round_trip((struct node){.kind = NODE_BATCH, .model = SLOT_NONE, .alias = last_id});
	assert_round_trip((struct node){.kind = NODE_RANGE, .model = SLOT_NONE, .interned = 7, .alias = 9});
}

static void test_node_ino_is_the_files(void **state)
{
	struct node bare = {.kind = NODE_BATCH, .ordinal = 1}, failed = bare, other = bare;
	struct node range = {.kind = NODE_RANGE, .interned = 7}, second = range;

	failed.suffix = FAILED;
	failed.alias = 9;
	other.ordinal = 2;
	second.alias = 9;
	assert_int_equal(node_ino(&bare), node_ino(&failed));
	assert_int_not_equal(node_id(&bare), node_id(&failed));
	assert_int_not_equal(node_ino(&bare), node_ino(&other));
	assert_int_equal(node_ino(&range), node_ino(&second));
	assert_int_not_equal(node_id(&range), node_id(&second));
	/* Programs that take it for a signed number. */
	range.interned = (UINT64_C(1) << 52) - 1;
	assert_true((int64_t)node_ino(&range) > 0);
}

static void test_node_refuses_what_it_did_not_make(void **state)
{
	struct node out, status = {.kind = NODE_DOCUMENT, .model = -1};
	const uint64_t one = UINT64_C(1);

	assert_true(node_parse(1, &out));
	assert_int_equal(out.kind, NODE_ROOT);
	assert_true(node_parse(node_id(&status), &out));
	assert_int_equal(out.model, -1);
	assert_false(node_parse(0, &out));
	assert_false(node_parse(node_scatter(2), &out));
	assert_false(node_parse(node_scatter(UINT64_MAX), &out));
	/* A batch of no model, a link to none, a selection or a range that is not interned, an id of nothing.
	 */
	assert_false(node_parse(node_scatter((uint64_t)NODE_BATCH << 5), &out));
	assert_false(node_parse(node_scatter((uint64_t)NODE_LINK << 5), &out));
	assert_false(node_parse(node_scatter(one << 38 | (uint64_t)NODE_SELECTION << 5), &out));
	assert_false(node_parse(node_scatter(one << 38 | (uint64_t)NODE_RANGE << 5), &out));
	assert_false(node_parse(node_scatter(one << 62 | (uint64_t)NODE_RANGE << 5), &out));
	/* Of a batch a suffix says something; of its SQL it does not. */
	assert_true(node_parse(node_scatter(one << 38 | (uint64_t)NODE_BATCH << 5 | 3), &out));
	assert_false(node_parse(node_scatter(one << 38 | (uint64_t)NODE_BATCH_SQL << 5 | 3), &out));
	assert_false(node_parse(node_scatter(one << 63 | one << 38 | (uint64_t)NODE_BATCH << 5), &out));
}

static void test_node_ids_come_back(void **state)
{
	uint64_t number = 1;

	assert_int_equal(node_scatter(0), 0); /* to the kernel, no inode */
	assert_int_equal(node_scatter(1), 1); /* the root */
	for (int i = 0; i < 100000; i++) {
		number = number * UINT64_C(6364136223846793005) + 1442695040888963407;
		assert_int_equal(node_gather(node_scatter(number)), number);
		assert_int_equal(node_scatter(node_gather(number)), number);
	}
}

/* Linux' hash of a 64-bit number (fs/inode.c), of a superblock at some address, in 2^21 buckets. */
static uint32_t kernel_bucket(uint64_t number)
{
	const uint64_t golden = UINT64_C(0x61c8864680b583eb), superblock = UINT64_C(0xffff888101234800);
	uint64_t hash = (number * superblock) ^ (golden + number) / 64;

	return (uint32_t)(hash ^ (hash ^ golden) >> 21) & ((1u << 21) - 1);
}

static void test_node_ids_do_not_meet_in_the_kernel(void **state)
{
	uint8_t *chains = calloc(1u << 21, 1);
	struct node n = {.kind = NODE_BATCH};

	assert_non_null(chains);
	for (n.model = 0; n.model < 1000; n.model++)
		for (n.ordinal = 738000; n.ordinal < 739100; n.ordinal++)
			assert_in_range(++chains[kernel_bucket(node_id(&n))], 1, 16);
	free(chains);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_round_trip),
		cmocka_unit_test(test_node_ino_is_the_files),
		cmocka_unit_test(test_node_refuses_what_it_did_not_make),
		cmocka_unit_test(test_node_ids_come_back),
		cmocka_unit_test(test_node_ids_do_not_meet_in_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

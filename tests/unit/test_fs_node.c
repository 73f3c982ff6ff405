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
	assert_int_equal(out.alias, n.alias);
}

static void test_node_round_trip(void **state)
{
	assert_round_trip((struct node){NODE_BATCH, 7, 738885, 3, 5});
	assert_round_trip((struct node){NODE_MODEL, 0, 0, 0, 0});
	assert_round_trip((struct node){NODE_RANGE_SQL, NODE_MODELS_MAX - 1, NODE_ORDINAL_MAX,
					NODE_SUFFIXES - 1, NODE_ALIAS_MAX});
	assert_round_trip((struct node){NODE_SELECTION, -1, NODE_ORDINAL_MAX, 0, 0});
	assert_round_trip((struct node){NODE_RANGE, -1, 7, 0, 3});
	assert_round_trip((struct node){NODE_LINK, 7, 0, 0, 0});
}

static void test_node_ino_is_the_files(void **state)
{
	struct node bare = {NODE_BATCH, 0, 1, 0, 0}, failed = {NODE_BATCH, 0, 1, FAILED, 9};
	struct node other = {NODE_BATCH, 0, 2, 0, 0};

	assert_int_equal(node_ino(&bare), node_ino(&failed));
	assert_int_not_equal(node_id(&bare), node_id(&failed));
	assert_int_not_equal(node_ino(&bare), node_ino(&other));
}

static void test_node_refuses_what_it_did_not_make(void **state)
{
	struct node out, status = {.kind = NODE_DOCUMENT, .model = -1, .fixed = 3};

	assert_true(node_parse(1, &out));
	assert_int_equal(out.kind, NODE_ROOT);
	assert_true(node_parse(node_id(&status), &out));
	assert_int_equal(out.model, -1);
	assert_int_equal(out.fixed, 3);
	assert_false(node_parse(0, &out));
	assert_false(node_parse(node_scatter(2), &out));
	assert_false(node_parse(node_scatter(UINT64_MAX), &out));
	/* A batch of no model, a link to none, a selection in a model. */
	assert_false(node_parse(node_scatter((uint64_t)NODE_BATCH << 16), &out));
	assert_false(node_parse(node_scatter((uint64_t)NODE_LINK << 16), &out));
	assert_false(node_parse(node_scatter((uint64_t)1 << 48 | (uint64_t)NODE_SELECTION << 16), &out));
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/node.h"

enum { DETAIL_BITS = 5, KIND_BITS = 5, ORDINAL_BITS = 28, ID_BITS = 52 };
enum {
	KIND_SHIFT = DETAIL_BITS,
	ORDINAL_SHIFT = KIND_SHIFT + KIND_BITS,
	MODEL_SHIFT = ORDINAL_SHIFT + ORDINAL_BITS,
	ID_SHIFT = ORDINAL_SHIFT,
	INTERNED_SHIFT = ID_SHIFT + ID_BITS,
};

_Static_assert(NODE_KINDS <= 1 << KIND_BITS, "a kind has its place in the inode number");

static const struct node_traits traits[NODE_KINDS] = {
	[NODE_ROOT] = {.dir = true, .stays = true, .kept = true, .of_others = true},
	[NODE_MODEL] = {.dir = true, .stays = true, .kept = true, .of_model = true},
	[NODE_SELECTION] = {.dir = true, .stays = true, .of_others = true},
	[NODE_LINK] = {.stays = true, .of_model = true},
	[NODE_BATCH] = {.batch = true,
			.of_batch = true,
			.builds = true,
			.freezes = true,
			.parks = true,
			.cancels = true,
			.kept = true,
			.of_model = true},
	[NODE_BATCH_SQL] = {.of_batch = true, .of_model = true},
	[NODE_RANGE] = {.builds = true,
			.freezes = true,
			.parks = true,
			.cancels = true,
			.oldest = true,
			.range = true,
			.of_model = true,
			.of_others = true},
	[NODE_RANGE_SQL] = {.range = true, .of_model = true},
	[NODE_BATCH_VALIDATE] = {.of_batch = true, .parks = true, .validates = true, .of_model = true},
	[NODE_BATCH_VALIDATE_JSON] = {.of_batch = true, .of_model = true},
	[NODE_RANGE_VALIDATE] =
		{.range = true, .parks = true, .validates = true, .of_model = true, .of_others = true},
	[NODE_RANGE_VALIDATE_JSON] = {.range = true, .of_model = true, .of_others = true},
	[NODE_PROGRESS] = {.range = true, .of_model = true, .of_others = true},
	[NODE_DOCUMENT] = {.fixed = true, .of_model = true, .of_others = true},
	[NODE_RUN] = {.builds = true,
		      .planned = true,
		      .parks = true,
		      .fixed = true,
		      .of_model = true,
		      .of_others = true},
	[NODE_FULL_REFRESH] = {.refreshes = true,
			       .protects = true,
			       .parks = true,
			       .fixed = true,
			       .of_model = true,
			       .of_others = true},
	[NODE_ADOPT] = {.looks = true, .parks = true, .fixed = true, .of_model = true, .of_others = true},
	[NODE_VALIDATE] =
		{.validates = true, .parks = true, .fixed = true, .of_model = true, .of_others = true},
	[NODE_HISTORY] = {.fixed = true, .of_model = true, .of_others = true},
};

const struct node_traits *node_traits(const struct node *n)
{
	return &traits[n->kind];
}

/* Odd, with bit 32 clear: so ONCE ^ ONCE >> 32 is odd too, and has an inverse, by which 1 stays 1. */
#define ONCE  UINT64_C(0x9e3779b87f4a7c15)
#define TWICE UINT64_C(0xcd83c8f01c40a625)
/* Modulo 2^64. */
#define INVERSE_OF_ONCE	 UINT64_C(0x93f4606a9937733d)
#define INVERSE_OF_TWICE (ONCE ^ ONCE >> 32)

_Static_assert(ONCE *INVERSE_OF_ONCE == 1 && TWICE * INVERSE_OF_TWICE == 1, "what is scattered is gathered");

uint64_t node_scatter(uint64_t number)
{
	number *= ONCE;
	number ^= number >> 32;
	return number * TWICE;
}

uint64_t node_gather(uint64_t id)
{
	id *= INVERSE_OF_TWICE;
	id ^= id >> 32;
	return id * INVERSE_OF_ONCE;
}

static uint64_t interned_number(const struct node *n, uint64_t id)
{
	return UINT64_C(1) << INTERNED_SHIFT | id << ID_SHIFT | (uint64_t)n->kind << KIND_SHIFT | n->fixed;
}

static uint64_t computed_number(const struct node *n, uint8_t suffix)
{
	return (uint64_t)(n->model + 1) << MODEL_SHIFT | (uint64_t)n->ordinal << ORDINAL_SHIFT |
	       (uint64_t)n->kind << KIND_SHIFT | (node_traits(n)->fixed ? n->fixed : suffix);
}

uint64_t node_id(const struct node *n)
{
	if (n->kind == NODE_ROOT)
		return NODE_ROOT_INO;
	if (n->alias || n->interned)
		return node_scatter(interned_number(n, n->alias ? n->alias : n->interned));
	return node_scatter(computed_number(n, n->suffix));
}

uint64_t node_ino(const struct node *n)
{
	if (n->kind == NODE_ROOT)
		return NODE_ROOT_INO;
	return n->interned ? interned_number(n, n->interned) : computed_number(n, 0);
}

bool node_parse(uint64_t id, struct node *out)
{
	uint64_t number = node_gather(id);
	uint8_t detail = (uint8_t)(number & ((1u << DETAIL_BITS) - 1));

	*out = (struct node){
		.kind = (enum node_kind)(number >> KIND_SHIFT & ((1u << KIND_BITS) - 1)),
		.model = SLOT_NONE,
	};
	if (number == NODE_ROOT_INO) {
		out->kind = NODE_ROOT;
		return true;
	}
	if (out->kind == NODE_ROOT || out->kind >= NODE_KINDS || number >> (INTERNED_SHIFT + 1))
		return false;
	const struct node_traits *t = node_traits(out);
	if (t->fixed)
		out->fixed = detail;
	else
		out->suffix = detail;
	if (number >> INTERNED_SHIFT) {
		out->interned = number >> ID_SHIFT & ((UINT64_C(1) << ID_BITS) - 1);
		return out->interned && !out->suffix;
	}
	out->model = (slot)(number >> MODEL_SHIFT) - 1;
	out->ordinal = (uint32_t)(number >> ORDINAL_SHIFT) & NODE_ORDINAL_MAX;
	return out->suffix < (t->batch ? NODE_SUFFIXES : 1) && !t->range && out->kind != NODE_SELECTION &&
	       (out->model < 0 ? t->of_others : t->of_model);
}

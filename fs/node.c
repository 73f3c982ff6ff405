/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/node.h"

#define ROOT_ID 1

enum { ALIAS_BITS = 12, SUFFIX_BITS = 4, KIND_BITS = 4, ORDINAL_BITS = 28 };
enum {
	SUFFIX_SHIFT = ALIAS_BITS,
	KIND_SHIFT = SUFFIX_SHIFT + SUFFIX_BITS,
	ORDINAL_SHIFT = KIND_SHIFT + KIND_BITS,
	MODEL_SHIFT = ORDINAL_SHIFT + ORDINAL_BITS,
};

_Static_assert(NODE_KINDS <= 1 << KIND_BITS, "a kind has its place in the inode number");

uint64_t node_id(const struct node *n)
{
	if (n->kind == NODE_ROOT)
		return ROOT_ID;
	return (uint64_t)(n->model + 1) << MODEL_SHIFT | (uint64_t)n->ordinal << ORDINAL_SHIFT |
	       (uint64_t)n->kind << KIND_SHIFT | (uint64_t)n->suffix << SUFFIX_SHIFT | n->alias;
}

uint64_t node_ino(const struct node *n)
{
	struct node plain = *n;

	plain.suffix = 0;
	plain.alias = 0;
	return node_id(&plain);
}

bool node_is_selected(const struct node *n)
{
	return n->model < 0 && (n->kind == NODE_SELECTION || n->kind == NODE_MODEL_STATUS ||
				n->kind == NODE_RUN || n->kind == NODE_RANGE || n->kind == NODE_PROGRESS);
}

bool node_parse(uint64_t id, struct node *out)
{
	*out = (struct node){
		.model = (int)(id >> MODEL_SHIFT) - 1,
		.ordinal = (uint32_t)(id >> ORDINAL_SHIFT) & NODE_ORDINAL_MAX,
		.kind = (enum node_kind)(id >> KIND_SHIFT & ((1u << KIND_BITS) - 1)),
		.suffix = (uint8_t)(id >> SUFFIX_SHIFT & ((1u << SUFFIX_BITS) - 1)),
		.alias = (uint16_t)(id & NODE_ALIAS_MAX),
	};
	if (id == ROOT_ID) {
		*out = (struct node){.kind = NODE_ROOT, .model = -1};
		return true;
	}
	if (out->kind == NODE_ROOT || out->kind >= NODE_KINDS || out->suffix >= NODE_SUFFIXES)
		return false;
	if (out->kind == NODE_HISTORY)
		return true;
	if (out->model < 0)
		return out->kind == NODE_ROOT_STATUS || node_is_selected(out);
	return out->kind != NODE_ROOT_STATUS && out->kind != NODE_SELECTION;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inode numbers are computed, so that there is nothing to remember about an inode:
 *
 *     model + 1 (16) | ordinal (28) | kind (4) | suffix (4) | alias (12)
 *
 * `suffix` is the one the file was looked up by: SETATTR and OPEN bring no name.
 * `alias` gives a file whose inode is locked by a waiting request a second inode.
 * st_ino leaves both out. The root is 1 (FUSE_ROOT_ID). Pure.
 */
#ifndef BATCHFS_FS_NODE_H
#define BATCHFS_FS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/batch_state.h"
#include "backend/slot.h"

enum node_kind {
	NODE_ROOT,
	NODE_ROOT_STATUS,
	NODE_MODEL,
	NODE_MODEL_DOCUMENT, /* .model */
	NODE_MODEL_STATUS,   /* of a selection, too */
	NODE_FULL_REFRESH,
	NODE_HISTORY, /* of a model, or of the root */
	NODE_BATCH,
	NODE_BATCH_SQL,
	NODE_RANGE, /* period, range or set of states; ordinal: an id of range.h */
	NODE_RANGE_SQL,
	NODE_RUN,	/* .run */
	NODE_PROGRESS,	/* of anything; ordinal: an id of range.h */
	NODE_SELECTION, /* a directory; ordinal: an id of selection.h, as of .run and .status in it */
	NODE_LINK,	/* in a selection, to a model's directory */
	NODE_KINDS,
};

#define NODE_MODELS_MAX	 65535
#define NODE_ORDINAL_MAX ((1u << 28) - 1)
#define NODE_ALIAS_MAX	 4095
#define NODE_SUFFIXES	 8 /* 0: the bare name; else a state other than done, plus one */

struct node {
	enum node_kind kind;
	slot model; /* -1: of the root or of a selection */
	uint32_t ordinal;
	uint8_t suffix;
	uint16_t alias;
};

uint64_t node_id(const struct node *n);
uint64_t node_ino(const struct node *n);

/* Whether it is a selection, or in one. */
bool node_is_selected(const struct node *n);

/* False if the number is none that node_id() makes. */
bool node_parse(uint64_t id, struct node *out);

/* What a write to it builds, and what sync of it waits for. */
static inline bool node_builds(const struct node *n)
{
	return n->kind == NODE_BATCH || n->kind == NODE_RANGE || n->kind == NODE_RUN;
}

static inline bool node_is_dir(const struct node *n)
{
	return n->kind == NODE_ROOT || n->kind == NODE_MODEL || n->kind == NODE_SELECTION;
}

/* Whether its ordinal is an id of range.h. */
static inline bool node_interned(const struct node *n)
{
	return n->kind == NODE_RANGE || n->kind == NODE_RANGE_SQL || n->kind == NODE_PROGRESS;
}

static inline uint8_t suffix_of(enum batch_state state)
{
	return state == BATCH_DONE ? 0 : (uint8_t)(state + 1);
}

/* Of a suffix other than 0. */
static inline enum batch_state suffix_state(uint8_t suffix)
{
	return (enum batch_state)(suffix - 1);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inode numbers. Most are computed, so that there is nothing to remember about an inode:
 *
 *     0 (2) | model + 1 (24) | ordinal (28) | kind (5) | suffix, or number of a fixed name (5)
 *
 * `suffix` is the one the file was looked up by: SETATTR and OPEN bring no name; st_ino leaves it out. What
 * does not fit has an id of interned.h: ranges, selections and what is in them, and the second inode of a
 * file, whose st_ino is the first one's:
 *
 *     1 (2) | id (52) | kind (5) | 0, or number of a fixed name (5)
 *
 * The root is 1 (FUSE_ROOT_ID).
 *
 * The kernel hashes its inodes by this number, and mixes so little that fields in the upper bits meet in few
 * buckets: 1.1 million inodes of 1,000 models fell into 1,100 of them. So it is scattered over all 64 bits on
 * its way out, and gathered when it comes back. Pure.
 */
#ifndef BATCHFS_FS_NODE_H
#define BATCHFS_FS_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/batch_state.h"
#include "backend/slot.h"

/* A new kind needs its traits, and the compiler finds the switches that it is missing in. */
enum node_kind {
	NODE_ROOT,
	NODE_MODEL,
	NODE_SELECTION, /* a directory; interned, as the fixed names in it */
	NODE_LINK,	/* in a selection, to a model's directory */
	NODE_BATCH,
	NODE_BATCH_SQL,
	NODE_RANGE, /* period, range or set of states; interned */
	NODE_RANGE_SQL,
	NODE_PROGRESS, /* of anything; interned */
	NODE_BATCH_VALIDATE,
	NODE_BATCH_VALIDATE_JSON,
	NODE_RANGE_VALIDATE,
	NODE_RANGE_VALIDATE_JSON,
	NODE_DOCUMENT, /* a fixed name that is only read; this one and the following are in fixed_names.h */
	NODE_RUN,      /* .run */
	NODE_FULL_REFRESH, /* .full-refresh */
	NODE_ADOPT,	   /* .adopt */
	NODE_VALIDATE,	   /* .validate */
	NODE_HISTORY,	   /* .history */
	NODE_KINDS,
};

struct node_traits {
	bool dir;
	bool stays;	/* its name leads to it for as long as the mount lasts */
	bool batch;	/* a batch itself: a suffix is a claim, and its names are marked in kernel_cache.h */
	bool of_batch;	/* its ordinal is a batch's, and that one alone is its scope */
	bool builds;	/* a write to it asks for a build, and sync of it waits for that */
	bool planned;	/* the plan decides which batches of its scope such a request builds */
	bool freezes;	/* chmod freezes its batches; not those of a set of states */
	bool refreshes; /* a write to it refreshes its models in full, sync of it waits for that, rm cancels
			   it */
	bool protects;	/* chmod protects its model against a full refresh */
	bool parks;	/* a change to it may wait for an answer, with its inode locked meanwhile */
	bool looks;	/* a write to it has tables looked at, and sync of it waits for that */
	bool validates; /* a write to it has its scope validated, sync of it waits for that, rm cancels that
			 */
	bool cancels;	/* rm cancels what is queued or running in it */
	bool oldest;	/* its mtime is the oldest among those of its batches that are built */
	bool range;	/* it is interned by its name, as a range */
	bool fixed;	/* its name is in fixed_names.h */
	bool kept;	/* the kernel may keep its attributes: it is told of every change */
	bool of_model;	/* there is one of a model, */
	bool of_others; /* and one of the root or in a selection */
};

#define NODE_MODELS_MAX	 ((1 << 24) - 2)
#define NODE_ORDINAL_MAX ((1u << 28) - 1)
#define NODE_FIXED_MAX	 31
#define NODE_ROOT_INO	 UINT64_C(1)
#define NODE_SUFFIXES	 9 /* 0: the bare name; else a state other than done, plus one */

struct node {
	enum node_kind kind;
	slot model; /* -1: of the root or of a selection */
	uint32_t ordinal;
	uint8_t suffix;
	uint8_t fixed;	   /* of a fixed name: its number in fixed_names.h */
	uint64_t interned; /* id in interned.h of what is interned by its name; else 0 */
	uint64_t alias;	   /* the same of a second inode of the file */
};

const struct node_traits *node_traits(const struct node *n);

/* The number by which the kernel knows the inode. */
uint64_t node_id(const struct node *n);

/* What stat shows: of every inode of one file the same, never 0. */
uint64_t node_ino(const struct node *n);

/* One-to-one, and each the other's inverse; 0 and 1 stay what they are. */
uint64_t node_scatter(uint64_t number);
uint64_t node_gather(uint64_t id);

/*
 * False if the number is none that node_id() makes. Of one with an id only that (out->interned), kind and
 * fixed are set: interned_resolve() knows the rest.
 */
bool node_parse(uint64_t id, struct node *out);

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

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/inval.h"

#include "fs/node.h"

fuse_ino_t inval_model_ino(slot model)
{
	struct node n = {.kind = NODE_MODEL, .model = model};

	return node_id(&n);
}

void inval_batch(struct fuse_session *session, slot model, ordinal batch, uint8_t seen, off_t off)
{
	struct node n = {.kind = NODE_BATCH, .model = model, .ordinal = batch};

	for (n.suffix = 0; n.suffix < NODE_SUFFIXES; n.suffix++)
		/* -ENOENT, the kernel does not have it, is as good. */
		if (seen & 1u << n.suffix)
			fuse_lowlevel_notify_inval_inode(session, node_id(&n), off, 0);
}

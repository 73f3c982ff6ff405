/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/inode.h"

#include "fs/fixed_names.h"
#include "fs/interned.h"
#include "fs/node.h"
#include "fs/private.h"

int fs_node(struct fs *fs, uint64_t ino, struct node *out)
{
	if (!node_parse(ino, out) || (out->interned && !interned_resolve(&fs->interned, out)) ||
	    out->model >= backend_models(fs->backend))
		return -ESTALE;
	return node_traits(out)->fixed && !fixed_of(out) ? -ESTALE : 0;
}

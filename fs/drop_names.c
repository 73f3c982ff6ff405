/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/drop_names.h"

#include "fs/fixed_names.h"
#include "fs/interned.h"
#include "fs/name.h"
#include "fs/private.h"
#include "fs/scope.h"
#include "fs/telling.h"

static void drop_fixed_name(struct fs *fs, const struct node *n)
{
	const struct fixed_name *fixed = fixed_of(n);

	if (fixed)
		telling_drop(fs, fs_dir_of(fs, n), fixed->text, "");
}

static void drop_selection_name(struct fs *fs, const struct node *n)
{
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);

	if (dir)
		telling_drop(fs, fs_dir_of(fs, n), dir->text, "");
}

static void drop_range_names(struct fs *fs, const struct node *n)
{
	static const char *const tails[] = {"", ".sql", ".progress", VALIDATE_NAME, VALIDATE_NAME ".json"};
	fuse_ino_t dir = fs_dir_of(fs, n);
	struct range range;

	if (!interned_get_range(&fs->interned, n->interned, &range))
		return;
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
		telling_drop(fs, dir, range.name, tails[i]);
}

static void drop_batch_name(struct fs *fs, const struct node *n, const char *tail)
{
	char name[BATCH_FILE_NAME_MAX];

	name_format(backend_batch_size(fs->backend, n->model), n->ordinal, n->suffix, name);
	telling_drop(fs, fs_dir_of(fs, n), name, tail);
}

void drop_names(struct fs *fs, const struct node *n)
{
	switch (n->kind) {
	case NODE_BATCH:
		drop_batch_name(fs, n, "");
		break;
	case NODE_DOCUMENT:
	case NODE_RUN:
	case NODE_FULL_REFRESH:
	case NODE_ADOPT:
	case NODE_VALIDATE:
	case NODE_HISTORY:
		drop_fixed_name(fs, n);
		break;
	case NODE_BATCH_VALIDATE:
		drop_batch_name(fs, n, VALIDATE_NAME);
		break;
	case NODE_SELECTION:
		drop_selection_name(fs, n);
		break;
	case NODE_RANGE:
	case NODE_RANGE_SQL:
	case NODE_PROGRESS:
	case NODE_RANGE_VALIDATE:
	case NODE_RANGE_VALIDATE_JSON:
		drop_range_names(fs, n);
		break;
	case NODE_MODEL:
		telling_drop(fs, NODE_ROOT_INO, backend_model_dir(fs->backend, n->model), "");
		break;
	case NODE_ROOT:
	case NODE_LINK:
	case NODE_BATCH_SQL:
	case NODE_BATCH_VALIDATE_JSON:
	case NODE_KINDS:
		/* Never locked, and without an id that comes to an end. */
		break;
	}
}

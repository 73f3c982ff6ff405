/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/telling.h"

#include <stdio.h>

#include "backend/base/cleanup.h"
#include "fs/interned.h"
#include "fs/private.h"

void telling_set(struct fs *fs, uint64_t dir, int64_t since_us)
{
	LOCKED(&fs->announcer.lock);
	fs->announcer.telling_dir = dir;
	fs->announcer.telling_since = since_us;
}

uint64_t telling_stuck(struct fs *fs, int64_t now_us, int64_t us)
{
	LOCKED(&fs->announcer.lock);
	int64_t since = fs->announcer.telling_since;
	return since && now_us - since > us ? fs->announcer.telling_dir : 0;
}

void telling_drop(struct fs *fs, uint64_t dir, const char *text, const char *tail)
{
	char name[INTERNED_NAME_MAX + 1];
	int len = snprintf(name, sizeof(name), "%s%s", text, tail);

	telling_set(fs, dir, clock_monotonic_us());
	fuse_lowlevel_notify_inval_entry(fs->session, dir, name, (size_t)len);
	telling_set(fs, dir, 0);
}

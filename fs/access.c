/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/access.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/base/cleanup.h"
#include "fs/private.h"

/* The numbers behind a line's first word. Returns whether `wanted` is one of them; *last: the last one. */
static bool names(const char *line, unsigned long wanted, unsigned long *last)
{
	const char *at = strchr(line, ':') + 1;
	bool found = false;

	for (;;) {
		char *end;
		unsigned long number = strtoul(at, &end, 10);
		if (end == at)
			return found;
		found |= number == wanted;
		*last = number;
		at = end;
	}
}

static bool begins(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

bool access_in_group(FILE *status, uid_t uid, gid_t gid, gid_t group)
{
	auto_free char *line = NULL;
	size_t size = 0;
	/* The last one of Uid and Gid is what file systems are asked with. */
	unsigned long fsuid = (unsigned long)uid + 1, fsgid = (unsigned long)gid + 1, last;

	while (getline(&line, &size, status) > 0) {
		if (begins(line, "Uid:"))
			names(line, uid, &fsuid);
		else if (begins(line, "Gid:"))
			names(line, gid, &fsgid);
		else if (begins(line, "Groups:"))
			return fsuid == uid && fsgid == gid && names(line, group, &last);
	}
	return false;
}

/* Not fuse_req_getgroups(): up to libfuse 3.14 it searches a buffer that it has not terminated. */
static bool in_group(const struct fuse_ctx *who, gid_t group)
{
	char path[32];

	/* It is in a pid namespace that is not to be seen from here. */
	if (who->pid == 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)who->pid);
	auto_file FILE *f = fopen(path, "re");
	return f && access_in_group(f, who->uid, who->gid, group);
}

bool access_may_write(const struct fs *fs, fuse_req_t req, mode_t mode)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);

	if (who->uid == 0)
		return true;
	if (who->uid == fs->uid)
		return mode & S_IWUSR;
	/* Groups matter only where they decide. */
	if (!(mode & S_IWGRP) == !(mode & S_IWOTH))
		return mode & S_IWOTH;
	if (who->gid == fs->gid)
		return mode & S_IWGRP;
	return fs->kernel_checks || (mode & (in_group(who, fs->gid) ? S_IWGRP : S_IWOTH));
}

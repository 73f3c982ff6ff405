/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cancel.h"

#include "fs/attr.h"
#include "fs/name.h"
#include "fs/private.h"
#include "fs/wait.h"

#define CANCELLABLE (1u << BATCH_QUEUED | 1u << BATCH_RUNNING)

/* A suffixed name is a fact; there is no courtesy for what changes something. */
static int check_suffix(struct fs *fs, int model, const struct name *name)
{
	struct batch_glance glance;

	if (!name->suffix)
		return 0;
	int r = backend_glance(fs->backend, model, name->batches.first, &glance);
	if (r)
		return r;
	return suffix_of(glance.state) == name->suffix ? 0 : -ENOENT;
}

/* An empty set is a success, as for whatever else is done to one. */
static bool is_empty_set(struct fs *fs, const struct backend_part *part)
{
	if (!part->states)
		return false;
	return !(part->states & ~CANCELLABLE) || backend_count(fs->backend, part, 1) == 0;
}

static int cancel(struct fs *fs, fuse_req_t req, int model, const char *text)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	struct backend_part part;
	struct name name;
	int r = name_parse(backend_batch_size(fs->backend, model), text, &name);

	if (r)
		return r;
	if (name.kind != NODE_BATCH && name.kind != NODE_RANGE)
		return backend_refuse(
			fs->backend, model, backend_existing(fs->backend, model), EPERM,
			"rm cancels what is queued or running: a batch, a period, a range or a set of "
			"states; %s cannot be removed.",
			text);
	r = fs_part_of_name(fs, model, name.batches, name.states, &part);
	if (r == 0)
		r = check_suffix(fs, model, &name);
	if (r)
		return r;
	if (backend_read_only(fs->backend))
		return backend_refuse(fs->backend, model, part.batches, EROFS,
				      "The mount is read-only (-o ro): nothing is cancelled through it.");
	/* default_permissions has asked the directory; it is a second fence. */
	if (!attr_may_write(fs, req, 0666 & ~fs->umask))
		return backend_refuse(fs->backend, model, part.batches, EACCES,
				      "The file's mode does not let this user cancel it.");
	wait_mark_cancelled(fs, model, part.batches, true);
	r = backend_cancel(fs->backend, &part, 1, who->uid, who->pid);
	if (r)
		wait_mark_cancelled(fs, model, part.batches, false);
	if (r != -EPERM)
		return r;
	if (is_empty_set(fs, &part))
		return 0;
	return backend_refuse(fs->backend, model, part.batches, EPERM,
			      "Nothing in %s is queued or running: there is nothing to cancel.", text);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node dir;
	int r = fs_node(fs, parent, &dir);

	if (r == 0 && dir.kind == NODE_MODEL)
		r = cancel(fs, req, dir.model, name);
	else if (r == 0)
		r = backend_read_only(fs->backend) ? -EROFS : -EPERM;
	fuse_reply_err(req, -r);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cancel.h"

#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "fs/access.h"
#include "fs/fixed_names.h"
#include "fs/inode.h"
#include "fs/lookup.h"
#include "fs/name.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/refuse.h"
#include "fs/scope.h"
#include "fs/wait.h"

/* A suffixed name is a fact; there is no grace for what changes something. */
static int check_suffix(struct fs *fs, slot model, const struct name *name)
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
static bool is_empty_set(struct fs *fs, const struct scope *scope)
{
	if (!scope->states)
		return false;
	return !(scope->states & ~STATES_UNSETTLED) ||
	       backend_count(fs->backend, scope_list(scope), scope->n) == 0;
}

static int refuse_kind(struct fs *fs, fuse_req_t req, const struct backend_file *file, const char *text)
{
	auto_strbuf sentence = STRBUF_INIT;

	strbuf_printf(
		&sentence,
		"rm cancels what is queued or running: a batch, a period, a range, a set of states or a full "
		"refresh; "
		"%s cannot be removed.",
		text);
	return refuse_file(fs, req, file, EPERM, sentence.str);
}

/* The whole directory, of .full-refresh. */
static bool is_refresh(enum node_kind in, const char *text)
{
	unsigned number;
	const struct fixed_name *f = fixed_find(in, text, &number);

	return f && node_traits(&(struct node){.kind = f->kind})->refreshes;
}

static int find_in_model(struct fs *fs, fuse_req_t req, const char *text, struct backend_file *file,
			 struct scope *out)
{
	slot model = file->model;
	struct name name;
	unsigned number;

	if (is_refresh(NODE_MODEL, text)) {
		const struct name all = {.batches = NAME_EVERY_BATCH};
		file->full_refresh = true;
		return fs_scope_of_name(fs, model, &all, out);
	}
	if (fixed_find(NODE_MODEL, text, &number))
		return refuse_kind(fs, req, file, text);
	int r = name_parse(backend_batch_size(fs->backend, model), text, &name);
	if (r)
		return r;
	if (!node_traits(&(struct node){.kind = name.kind})->cancels)
		return refuse_kind(fs, req, file, text);
	r = fs_scope_of_name(fs, model, &name, out);
	if (r)
		return r;
	file->batches = out->one.batches;
	return check_suffix(fs, model, &name);
}

static int find_in_selection(struct fs *fs, fuse_req_t req, const struct selection_dir *dir, const char *text,
			     struct scope *out)
{
	const struct backend_file file = {.model = SLOT_NONE, .selection = dir->text};
	struct name name;
	unsigned number;

	if (is_refresh(NODE_SELECTION, text))
		return fs_scope_of_selection(fs, dir, SPAN_EVERYTHING, 0, out);
	bool link = lookup_link(fs, dir, text) >= 0 || fixed_find(NODE_SELECTION, text, &number);
	int r = link ? 0 : name_parse_in_selection(text, &name);
	if (r)
		return r;
	if (link || !node_traits(&(struct node){.kind = name.kind})->cancels)
		return refuse_kind(fs, req, &file, text);
	return fs_scope_of_selection(fs, dir, name.span, name.states, out);
}

static int cancel_batches(struct fs *fs, fuse_req_t req, const struct scope *scope)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);

	wait_mark_cancelled(fs, scope, true);
	int r = backend_cancel(fs->backend, scope_list(scope), scope->n, who->uid, who->pid);
	if (r)
		wait_mark_cancelled(fs, scope, false);
	return r == -EPERM && is_empty_set(fs, scope) ? 0 : r;
}

static int cancel_refreshes(struct fs *fs, fuse_req_t req, const struct scope *scope)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	auto_free slot *models = calloc(scope->n + 1, sizeof(*models));

	for (size_t i = 0; models && i < scope->n; i++)
		models[i] = scope_list(scope)[i].model;
	return models ? backend_refresh_cancel(fs->backend, models, scope->n, who->uid, who->pid) : -ENOMEM;
}

static int cancel(struct fs *fs, fuse_req_t req, enum node_kind in, const struct scope *scope,
		  const struct backend_file *file, const char *text)
{
	auto_strbuf sentence = STRBUF_INIT;

	if (backend_read_only(fs->backend))
		return refuse_file(fs, req, file, EROFS,
				   "The mount is read-only (-o ro): nothing is cancelled through it.");
	/* default_permissions has asked the directory; it is a second fence. */
	if (!access_may_write(fs, req, 0666 & ~fs->umask))
		return refuse_file(fs, req, file, EACCES,
				   "The file's mode does not let this user cancel it.");
	int r = is_refresh(in, text) ? cancel_refreshes(fs, req, scope) : cancel_batches(fs, req, scope);
	if (r != -EPERM)
		return r;
	if (is_refresh(in, text))
		return refuse_file(fs, req, file, EPERM,
				   "No full refresh is under way: there is nothing to cancel.");
	strbuf_printf(&sentence, "Nothing in %s is queued or running: there is nothing to cancel.", text);
	return refuse_file(fs, req, file, EPERM, sentence.str);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fuse_req_userdata(req);
	auto_scope struct scope scope = {.n = 0};
	struct node dir;
	int r = fs_node(fs, parent, &dir);
	auto_selection struct selection_dir *selection = r ? NULL : fs_selection_of(fs, &dir);
	struct backend_file file = {.model = r ? SLOT_NONE : dir.model};

	if (selection) {
		file.selection = selection->text;
		file.name = name;
	}
	if (r == 0 && dir.kind == NODE_ROOT)
		r = backend_read_only(fs->backend) ? -EROFS : -EPERM;
	else if (r == 0 && dir.kind == NODE_MODEL)
		r = find_in_model(fs, req, name, &file, &scope);
	else if (r == 0)
		r = selection ? find_in_selection(fs, req, selection, name, &scope) : -ESTALE;
	if (r == 0)
		r = cancel(fs, req, dir.kind, &scope, &file, name);
	fuse_reply_err(req, -r);
}

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

/* What rm of a file cancels. */
enum cancels { CANCELS_NOTHING, CANCELS_BATCHES, CANCELS_REFRESHES, CANCELS_VALIDATIONS };

struct meant {
	enum cancels what;
	struct scope scope;
};

static enum cancels cancels_of(enum node_kind kind)
{
	const struct node_traits *t = node_traits(&(struct node){.kind = kind});

	return t->cancels     ? CANCELS_BATCHES
	       : t->refreshes ? CANCELS_REFRESHES
	       : t->validates ? CANCELS_VALIDATIONS
			      : CANCELS_NOTHING;
}

/* A fixed name stands for its whole directory. */
static int find_fixed(struct fs *fs, const struct node *dir, unsigned number, struct meant *out)
{
	const struct fixed_name *f = fixed_name(number);
	const struct node n = {
		.kind = f->kind, .model = dir->model, .fixed = (uint8_t)number, .interned = dir->interned};

	out->what = cancels_of(f->kind);
	return out->what ? fs_scope(fs, &n, &out->scope) : 0;
}

static int find_in_model(struct fs *fs, fuse_req_t req, const struct node *dir, const char *text,
			 struct backend_file *file, struct meant *out)
{
	slot model = file->model;
	struct name name;
	unsigned number;

	if (fixed_find(NODE_MODEL, text, &number)) {
		int found = find_fixed(fs, dir, number, out);
		file->full_refresh = out->what == CANCELS_REFRESHES;
		return found == 0 && !out->what ? refuse_kind(fs, req, file, text) : found;
	}
	int r = name_parse(backend_batch_size(fs->backend, model), text, &name);
	if (r)
		return r;
	out->what = cancels_of(name.kind);
	if (!out->what)
		return refuse_kind(fs, req, file, text);
	r = fs_scope_of_name(fs, model, &name, &out->scope);
	if (r)
		return r;
	file->batches = out->scope.one.batches;
	return check_suffix(fs, model, &name);
}

static int find_in_selection(struct fs *fs, fuse_req_t req, const struct node *in,
			     const struct selection_dir *dir, const char *text, struct meant *out)
{
	const struct backend_file file = {.model = SLOT_NONE, .selection = dir->text};
	struct name name;
	unsigned number;

	if (lookup_link(fs, dir, text) >= 0)
		return refuse_kind(fs, req, &file, text);
	if (fixed_find(NODE_SELECTION, text, &number)) {
		int found = find_fixed(fs, in, number, out);
		return found == 0 && !out->what ? refuse_kind(fs, req, &file, text) : found;
	}
	int r = name_parse_in_selection(text, &name);
	if (r)
		return r;
	out->what = cancels_of(name.kind);
	if (!out->what)
		return refuse_kind(fs, req, &file, text);
	return fs_scope_of_selection(fs, dir, name.span, name.states, &out->scope);
}

/* There are no batches in the root. */
static int find_in_root(struct fs *fs, const struct node *dir, const char *text, struct meant *out)
{
	unsigned number;
	int r = fixed_find(NODE_ROOT, text, &number) ? find_fixed(fs, dir, number, out) : 0;

	if (r || out->what)
		return r;
	return backend_read_only(fs->backend) ? -EROFS : -EPERM;
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

static int cancel_meant(struct fs *fs, fuse_req_t req, const struct meant *meant)
{
	const struct scope *scope = &meant->scope;

	switch (meant->what) {
	case CANCELS_BATCHES:
		return cancel_batches(fs, req, scope);
	case CANCELS_REFRESHES:
		return cancel_refreshes(fs, req, scope);
	case CANCELS_VALIDATIONS:
		return backend_cancel_validation(fs->backend, scope_list(scope), scope->n);
	case CANCELS_NOTHING:
		break;
	}
	return -EPERM;
}

static int cancel(struct fs *fs, fuse_req_t req, const struct meant *meant, const struct backend_file *file,
		  const char *text)
{
	auto_strbuf sentence = STRBUF_INIT;

	if (backend_read_only(fs->backend))
		return refuse_file(fs, req, file, EROFS,
				   "The mount is read-only (-o ro): nothing is cancelled through it.");
	/* default_permissions has asked the directory; it is a second fence. */
	if (!access_may_write(fs, req, 0666 & ~fs->umask))
		return refuse_file(fs, req, file, EACCES,
				   "The file's mode does not let this user cancel it.");
	int r = cancel_meant(fs, req, meant);
	if (r != -EPERM)
		return r;
	if (meant->what == CANCELS_REFRESHES)
		strbuf_puts(&sentence, "No full refresh is under way: there is nothing to cancel.");
	else
		strbuf_printf(&sentence, "Nothing in %s is %s: there is nothing to cancel.", text,
			      meant->what == CANCELS_VALIDATIONS ? "being validated" : "queued or running");
	return refuse_file(fs, req, file, EPERM, sentence.str);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fuse_req_userdata(req);
	struct meant meant = {.what = CANCELS_NOTHING};
	struct node dir;
	int r = fs_node(fs, parent, &dir);
	auto_selection struct selection_dir *selection = r ? NULL : fs_selection_of(fs, &dir);
	struct backend_file file = {.model = r ? SLOT_NONE : dir.model};

	if (selection) {
		file.selection = selection->text;
		file.name = name;
	}
	if (r == 0 && dir.kind == NODE_ROOT)
		r = find_in_root(fs, &dir, name, &meant);
	else if (r == 0 && dir.kind == NODE_MODEL)
		r = find_in_model(fs, req, &dir, name, &file, &meant);
	else if (r == 0)
		r = selection ? find_in_selection(fs, req, &dir, selection, name, &meant) : -ESTALE;
	if (r == 0)
		r = cancel(fs, req, &meant, &file, name);
	scope_fini(&meant.scope);
	fuse_reply_err(req, -r);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lookup.h"

#include "fs/announce.h"
#include "fs/attr.h"
#include "fs/claim.h"
#include "fs/fixed_names.h"
#include "fs/handle.h"
#include "fs/inode.h"
#include "fs/interned.h"
#include "fs/kernel_cache.h"
#include "fs/name.h"
#include "fs/node.h"
#include "fs/own_inode.h"
#include "fs/private.h"
#include "fs/refuse.h"
#include "fs/scope.h"
#include "fs/walkers.h"

int lookup_link(struct fs *fs, const struct selection_dir *dir, const char *name)
{
	slot model = backend_find(fs->backend, name);

	for (size_t i = 0; i < dir->selected.n_models; i++)
		if (dir->selected.models[i] == model)
			return model;
	return -1;
}

static void forget(struct fs *fs, const struct node *n, uint64_t count)
{
	uint64_t id = n->alias ? n->alias : n->interned;

	if (id)
		interned_forget(&fs->interned, id, count);
}

/* Gives it an inode of its own where whoever looks it up needs one. */
static int own_inode(struct fs *fs, fuse_req_t req, struct node *n)
{
	const struct node_traits *t = node_traits(n);

	if (!t->parks || !own_inode_is_due(&fs->own_inodes, fs_file_key(fs, n), fuse_req_ctx(req)->pid,
					   clock_monotonic_us()))
		return 0;
	return interned_alias(&fs->interned, n);
}

bool lookup_send_back(struct fs *fs, fuse_req_t req, const struct node *n)
{
	pid_t thread = fuse_req_ctx(req)->pid;

	if (!n->alias)
		return own_inode_send_back(&fs->own_inodes, fs_file_key(fs, n), thread, clock_monotonic_us());
	own_inode_arrived(&fs->own_inodes, fs_file_key(fs, n), thread);
	return false;
}

bool lookup_send_back_change(struct fs *fs, fuse_req_t req, const struct node *n, uint64_t fh)
{
	/* By an open file, nothing would look the name up again; futimens() brings no fh. */
	if (!n->alias && (fh || handle_is_open(&fs->handles, node_id(n), fuse_req_ctx(req)->pid)))
		return false;
	return lookup_send_back(fs, req, n);
}

static void reply_entry(struct fs *fs, fuse_req_t req, struct node *n)
{
	struct fuse_entry_param e = {.ino = 0};
	int r = own_inode(fs, req, n);

	if (r == 0)
		r = attr_of(fs, n, &e.attr);
	e.ino = node_id(n);
	e.attr_timeout = attr_timeout(n);
	/* X.failed.progress is there while X.failed is; and of a document's size the kernel hears again. */
	e.entry_timeout = node_traits(n)->stays ? ATTR_FOREVER_S : 0;
	if (r == 0)
		r = fuse_reply_entry(req, &e);
	else
		fuse_reply_err(req, -r);
	if (r)
		forget(fs, n, 1);
	else if (n->alias || n->interned)
		announce_surplus(fs);
}

static void lookup_batch(struct fs *fs, fuse_req_t req, struct node *n)
{
	struct batch_glance glance;
	int64_t left_us;

	walker_looks(&fs->walkers, fuse_req_ctx(req)->pid);
	/* Before the look at the state, so that a change after it finds the name. */
	int r = kernel_cache_mark(&fs->kernel_cache, n->model, n->ordinal, n->suffix);
	if (r == 0)
		r = backend_glance(fs->backend, n->model, n->ordinal, &glance);
	if (r == 0 && !claim_holds(fs, n, &glance, &left_us))
		r = -ENOENT;
	if (r == 0)
		r = own_inode(fs, req, n);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	struct fuse_entry_param e = {.ino = node_id(n)};
	if (!n->alias)
		e.entry_timeout = left_us == INT64_MAX ? ATTR_FOREVER_S : (double)left_us / 1e6;
	if (attr_timeout_of_batch(fs, n, &glance) > 0)
		e.attr_timeout = e.entry_timeout;
	attr_of_batch(fs, n, &glance, &e.attr);
	if (fuse_reply_entry(req, &e))
		forget(fs, n, 1);
	else if (n->alias)
		announce_surplus(fs);
	else
		announce_recheck(fs, n->model, n->ordinal, &glance);
}

static void lookup_interned(struct fs *fs, fuse_req_t req, const struct node *dir, struct node *n,
			    const char *text, const struct name *name)
{
	int r = interned_range(&fs->interned, dir, text, name, n);

	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	n->ordinal = 0;
	n->suffix = 0;
	reply_entry(fs, req, n);
}

/* Makes *n, of which the directory is known, the node of that fixed name. False: it is none. */
static bool find_fixed(enum node_kind in, const char *text, struct node *n)
{
	unsigned number;
	const struct fixed_name *f = fixed_find(in, text, &number);

	if (!f)
		return false;
	n->kind = f->kind;
	n->fixed = (uint8_t)number;
	return true;
}

static void put_why_empty(struct fs *fs, slot model, const char *text, struct strbuf *why)
{
	struct ordinal_range existing = backend_existing(fs->backend, model);
	enum batch_size size = backend_batch_size(fs->backend, model);
	char first[CALENDAR_NAME_MAX], last[CALENDAR_NAME_MAX];
	if (existing.first >= existing.end) {
		strbuf_printf(why, "%s: the model has no batches, because its begin lies in the future.",
			      text);
		return;
	}
	calendar_name(size, existing.first, first);
	calendar_name(size, existing.end - 1, last);
	strbuf_printf(why, "%s: the model has no batch there; the first one is %s, the last one %s.", text,
		      first, last);
}

/* A name of a period or a range in the directory `file` names nothing: says why in its last_refusal. */
static int refuse_name(struct fs *fs, fuse_req_t req, struct backend_file file, const char *text, int r)
{
	auto_strbuf why = STRBUF_INIT;
	file.lookup = true;
	if (r == -EINVAL)
		strbuf_printf(&why, "%s: the start of a range must lie before its end.", text);
	else if (r != -ENOENT)
		return r;
	else if (file.model < 0)
		strbuf_printf(&why, "%s: no model of this selection has a batch there.", text);
	else
		put_why_empty(fs, file.model, text, &why);
	return refuse_file(fs, req, &file, -r, why.str);
}

/* Whether the state is there that a suffix claims. */
static int check_exists(struct fs *fs, const struct node *n, const struct name *name)
{
	struct batch_glance glance;
	int64_t left_us;

	/* A batch itself is marked before it is looked at. */
	if (node_traits(n)->batch || !n->suffix)
		return 0;
	int r = backend_glance(fs->backend, n->model, n->ordinal, &glance);
	if (r)
		return r;
	return claim_holds(fs, n, &glance, &left_us) ? 0 : -ENOENT;
}

static void lookup_in_model(struct fs *fs, fuse_req_t req, const struct node *dir, const char *text)
{
	struct name name;
	struct node n = {.model = dir->model};

	/* A directory that is open, or somebody's working directory, outlives its model, as a removed one
	 * does. */
	if (backend_gone(fs->backend, dir->model)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (find_fixed(NODE_MODEL, text, &n)) {
		reply_entry(fs, req, &n);
		return;
	}
	auto_scope struct scope scope = {.n = 0};
	int r = name_parse(backend_batch_size(fs->backend, dir->model), text, &name);
	/* What is no name at all is looked for by many a program; only what is one has somebody meant. */
	bool meant = r != -ENOENT;
	n.kind = name.kind;
	n.ordinal = name.batches.first;
	n.suffix = name.suffix;
	if (r == 0)
		r = fs_scope_of_name(fs, n.model, &name, &scope);
	if (r && meant)
		r = refuse_name(fs, req, (struct backend_file){.model = dir->model}, text, r);
	if (r == 0)
		r = check_exists(fs, &n, &name);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	if (node_traits(&n)->range)
		lookup_interned(fs, req, dir, &n, text, &name);
	else if (node_traits(&n)->batch)
		lookup_batch(fs, req, &n);
	else
		reply_entry(fs, req, &n);
}

static void lookup_in_selection(struct fs *fs, fuse_req_t req, const struct node *in, const char *text)
{
	auto_selection struct selection_dir *dir = fs_selection_of(fs, in);
	auto_scope struct scope scope = {.n = 0};
	struct node n = {.kind = NODE_LINK, .model = dir ? lookup_link(fs, dir, text) : -1};
	struct name name;
	int r = dir ? 0 : -ESTALE;

	if (r == 0 && n.model >= 0) {
		reply_entry(fs, req, &n);
		return;
	}
	if (r == 0 && find_fixed(NODE_SELECTION, text, &n)) {
		n.interned = in->interned;
		if (interned_count(&fs->interned, n.interned))
			reply_entry(fs, req, &n);
		else
			fuse_reply_err(req, ESTALE);
		return;
	}
	if (r == 0)
		r = name_parse_in_selection(text, &name);
	bool meant = r == 0 || r == -EINVAL;
	if (r == 0)
		r = fs_scope_of_selection(fs, dir, name.span, name.states, &scope);
	if (r && meant)
		r = refuse_name(fs, req, (struct backend_file){.model = SLOT_NONE, .selection = dir->text},
				text, r);
	n.kind = name.kind;
	if (r)
		fuse_reply_err(req, -r);
	else
		lookup_interned(fs, req, in, &n, text, &name);
}

static int select_models(struct fs *fs, fuse_req_t req, const char *text, uint64_t *id)
{
	struct backend_selection selected;
	const struct backend_file nothing = {.model = SLOT_NONE, .lookup = true};
	struct error err = {.err = 0};

	if (interned_find_selection(&fs->interned, text, id)) {
		auto_selection struct selection_dir *dir = interned_get_selection(&fs->interned, *id);
		if (dir && dir->selected.n_models > 0)
			return 0;
		/* What it selected has gone with the manifest of then. */
		interned_forget(&fs->interned, *id, 1);
		return -ENOENT;
	}
	/* A hidden file that somebody looks for everywhere: dbt has no name that begins so. */
	if (text[0] == '.')
		return -ENOENT;
	int r = backend_select(fs->backend, text, &selected, &err);
	if (r == -EINVAL || r == -ENOENT)
		return refuse_file(fs, req, &nothing, ENOENT, err.text);
	return r ? r : interned_add_selection(&fs->interned, text, &selected, id);
}

static void lookup_in_root(struct fs *fs, fuse_req_t req, const char *text)
{
	struct node n = {.kind = NODE_MODEL, .model = -1};

	if (find_fixed(NODE_ROOT, text, &n)) {
		reply_entry(fs, req, &n);
		return;
	}
	n.model = backend_find(fs->backend, text);
	if (n.model < 0) {
		n.kind = NODE_SELECTION;
		int r = select_models(fs, req, text, &n.interned);
		if (r) {
			fuse_reply_err(req, -r);
			return;
		}
	}
	reply_entry(fs, req, &n);
}

static void lookup_in(struct fs *fs, fuse_req_t req, const struct node *dir, const char *name)
{
	switch (dir->kind) {
	case NODE_ROOT:
		lookup_in_root(fs, req, name);
		return;
	case NODE_MODEL:
		lookup_in_model(fs, req, dir, name);
		return;
	case NODE_SELECTION:
		lookup_in_selection(fs, req, dir, name);
		return;
	case NODE_LINK:
	case NODE_BATCH:
	case NODE_BATCH_SQL:
	case NODE_RANGE:
	case NODE_RANGE_SQL:
	case NODE_PROGRESS:
	case NODE_DOCUMENT:
	case NODE_RUN:
	case NODE_FULL_REFRESH:
	case NODE_ADOPT:
	case NODE_VALIDATE:
	case NODE_BATCH_VALIDATE:
	case NODE_BATCH_VALIDATE_JSON:
	case NODE_RANGE_VALIDATE:
	case NODE_RANGE_VALIDATE_JSON:
	case NODE_HISTORY:
	case NODE_KINDS:
		break;
	}
	fuse_reply_err(req, ENOTDIR);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fuse_req_userdata(req);
	struct node dir;
	int r = fs_node(fs, parent, &dir);

	if (r)
		fuse_reply_err(req, -r);
	else
		lookup_in(fs, req, &dir, name);
}

static void forget_ino(struct fs *fs, fuse_ino_t ino, uint64_t n)
{
	struct node node;

	/* Not the node that it stands for: an id may outlive that. */
	if (node_parse(ino, &node))
		forget(fs, &node, n);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	forget_ino(fuse_req_userdata(req), ino, n);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		forget_ino(fuse_req_userdata(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

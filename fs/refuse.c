/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/refuse.h"

#include "fs/announce.h"
#include "fs/fixed_names.h"
#include "fs/interned.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/scope.h"
#include "fs/selection.h"

void refused_file_of(struct fs *fs, const struct node *n, struct refused_file *out)
{
	auto_scope struct scope scope = {.n = 0};
	const struct fixed_name *fixed = fixed_of(n);

	*out = (struct refused_file){
		.file = {.model = n->model, .full_refresh = node_traits(n)->protects && n->model >= 0}};
	if (fs_is_selected(n)) {
		out->dir = fs_selection_of(fs, n);
		out->file.selection = out->dir ? out->dir->text : NULL;
		if (fixed)
			out->file.name = fixed->text;
		else if (node_traits(n)->range && interned_get_range(&fs->interned, n->interned, &out->range))
			out->file.name = out->range.name;
	} else if (node_traits(n)->cancels && fs_scope(fs, n, &scope) == 0 && scope.n) {
		out->file.batches = scope_list(&scope)->batches;
	}
}

void refused_file_fini(struct refused_file *f)
{
	selection_put(f->dir);
}

int refuse_file(struct fs *fs, fuse_req_t req, const struct backend_file *file, int err, const char *sentence)
{
	backend_refuse(fs->backend, file, fuse_req_ctx(req)->uid, err, "%s", sentence);
	/* The document of a batch has grown. */
	if (file->model >= 0 && file->batches.first + 1 == file->batches.end) {
		const struct scope scope = {.n = 1, .one = {.model = file->model, .batches = file->batches}};
		announce_attributes(fs, &scope);
	}
	return -err;
}

int refuse_node(struct fs *fs, fuse_req_t req, const struct node *n, int err, const char *sentence)
{
	auto_refused_file struct refused_file f;

	refused_file_of(fs, n, &f);
	return refuse_file(fs, req, &f.file, err, sentence);
}

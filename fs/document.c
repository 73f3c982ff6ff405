/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/document.h"

#include "fs/private.h"

void document_pad(struct strbuf *out, size_t size)
{
	size_t len = out->len;

	if (strbuf_broken(out))
		return;
	if (len && out->str[len - 1] == '\n') {
		out->str[--len] = '\0';
		out->len = len;
	}
	size_t want = len + 1 > size ? len + 1 : size;
	want = (want + DOCUMENT_BLOCK - 1) / DOCUMENT_BLOCK * DOCUMENT_BLOCK;
	strbuf_fill(out, ' ', want - 1 - len);
	strbuf_putc(out, '\n');
}

static int render_batches(struct fs *fs, const struct node *n, struct strbuf *out)
{
	auto_scope struct scope scope = {.n = 0};
	int r = fs_scope(fs, n, &scope);

	if (r)
		return r;
	if (n->kind == NODE_RANGE || n->kind == NODE_RUN)
		return backend_parts_document(fs->backend, scope_list(&scope), scope.n, n->kind == NODE_RUN,
					      out);
	return backend_sql_document(fs->backend, n->model, scope.one.batches, out);
}

/* .status and .run. */
static int render_selection(struct fs *fs, const struct node *n, struct strbuf *out)
{
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);

	if (!dir)
		return -ESTALE;
	return backend_selection_document(fs->backend, &dir->selected, n->kind == NODE_MODEL_STATUS, out);
}

static int render(struct fs *fs, const struct node *n, struct strbuf *out)
{
	if (node_is_selected(n) && (n->kind == NODE_MODEL_STATUS || n->kind == NODE_RUN))
		return render_selection(fs, n, out);
	switch (n->kind) {
	case NODE_ROOT_STATUS:
		return backend_root_status(fs->backend, out);
	case NODE_MODEL_DOCUMENT:
		return backend_model_document(fs->backend, n->model, out);
	case NODE_MODEL_STATUS:
		return backend_model_status(fs->backend, n->model, out);
	case NODE_FULL_REFRESH:
		return backend_full_refresh_document(fs->backend, n->model, out);
	case NODE_BATCH:
		return backend_batch_document(fs->backend, n->model, n->ordinal, out);
	case NODE_BATCH_SQL:
	case NODE_RANGE:
	case NODE_RANGE_SQL:
	case NODE_RUN:
		return render_batches(fs, n, out);
	case NODE_HISTORY:
	case NODE_PROGRESS:
		return 0;
	case NODE_ROOT:
	case NODE_MODEL:
	case NODE_SELECTION:
	case NODE_LINK:
	case NODE_KINDS:
		break;
	}
	return -EISDIR;
}

int document_render(struct fs *fs, const struct node *n, struct strbuf *out)
{
	struct batch_glance glance = {.size = 0};

	strbuf_clear(out);
	int r = render(fs, n, out);
	if (r)
		return r;
	/* Not shorter than stat has said: who trusts that copies short files wrongly. */
	if (n->kind == NODE_BATCH)
		backend_glance(fs->backend, n->model, n->ordinal, &glance);
	document_pad(out, glance.size);
	return strbuf_broken(out) ? -ENOMEM : 0;
}

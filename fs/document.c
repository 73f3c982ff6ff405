/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/document.h"

#include "fs/fixed_names.h"
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

/* Of a range, a set and what is named .sql. */
static int render_scope(struct fs *fs, const struct node *n, struct strbuf *out)
{
	auto_scope struct scope scope = {.n = 0};
	int r = fs_scope(fs, n, &scope);

	if (r)
		return r;
	if (n->kind == NODE_RANGE)
		return backend_parts_document(fs->backend, scope_list(&scope), scope.n, false, out);
	return backend_sql_document(fs->backend, n->model, scope.one.batches, out);
}

static int render(struct fs *fs, const struct node *n, struct strbuf *out)
{
	switch (n->kind) {
	case NODE_BATCH:
		return backend_batch_document(fs->backend, n->model, n->ordinal, out);
	case NODE_BATCH_SQL:
	case NODE_RANGE:
	case NODE_RANGE_SQL:
		return render_scope(fs, n, out);
	case NODE_DOCUMENT:
	case NODE_RUN:
	case NODE_FULL_REFRESH:
		return fixed_of(n)->render(fs, n, out);
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

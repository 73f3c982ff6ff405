/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/document.h"

#include <string.h>

#include "fs/fixed_names.h"
#include "fs/handle.h"
#include "fs/interned.h"
#include "fs/private.h"
#include "fs/progress.h"
#include "fs/refuse.h"
#include "fs/scope.h"
#include "fs/texts.h"
#include "fs/validation.h"

#define SQL_TEXT_MAX                                                                                         \
	((size_t)256 * 1024) /* bytes; longer statements are rendered by pieces, as they are read */
#define SQL_TRIES 3

void document_init(struct document *d)
{
	*d = (struct document){.text = STRBUF_INIT};
}

void document_fini(struct document *d)
{
	strbuf_fini(&d->text);
	backend_pages_close(d->pages);
	d->pages = NULL;
	progress_free(d->progress);
	d->progress = NULL;
}

static bool is_large(struct fs *fs, const struct node *n)
{
	auto_scope struct scope scope = {.n = 0};
	size_t batches = 0;

	if (fs_scope(fs, n, &scope))
		return false;
	for (size_t i = 0; i < scope.n; i++)
		batches += scope_list(&scope)[i].batches.end - scope_list(&scope)[i].batches.first;
	return batches > DOCUMENT_SLOW_BATCHES;
}

bool document_is_slow(struct fs *fs, const struct node *n)
{
	const struct fixed_name *f = fixed_of(n);

	switch (n->kind) {
	case NODE_DOCUMENT:
	case NODE_RUN:
	case NODE_FULL_REFRESH:
	case NODE_ADOPT:
	case NODE_VALIDATE:
		if (!f->slow || f->open)
			return f->open;
		return (f->in == NODE_ROOT && backend_models_present(fs->backend) > 1) || is_large(fs, n);
	case NODE_RANGE:
	case NODE_PROGRESS:
	case NODE_RANGE_VALIDATE:
	case NODE_RANGE_VALIDATE_JSON:
		return is_large(fs, n);
	case NODE_BATCH_SQL:
	case NODE_RANGE_SQL:
		return true;
	case NODE_BATCH:
	case NODE_BATCH_VALIDATE:
	case NODE_BATCH_VALIDATE_JSON:
	case NODE_HISTORY:
	case NODE_ROOT:
	case NODE_MODEL:
	case NODE_SELECTION:
	case NODE_LINK:
	case NODE_KINDS:
		break;
	}
	return false;
}

static int render_range(struct fs *fs, const struct node *n, struct strbuf *out)
{
	auto_scope struct scope scope = {.n = 0};
	auto_refused_file struct refused_file f;
	int r = fs_scope(fs, n, &scope);

	refused_file_of(fs, n, &f);
	if (r)
		return r;
	return backend_parts_document(fs->backend, scope_list(&scope), scope.n, &f.file, out);
}

static int open_sql(struct fs *fs, const struct node *n, struct backend_pages **out)
{
	auto_scope struct scope scope = {.n = 0};
	int r = fs_scope(fs, n, &scope);

	return r ? r : backend_sql_open(fs->backend, n->model, scope.one.batches, out);
}

/*
 * The statements of few batches are a text that is fixed at open, as every other document's is: a new
 * manifest that comes between open and read does not fail its reader. A change while they are rendered begins
 * anew.
 */
static int make_sql(struct fs *fs, const struct node *n, struct document *d)
{
	int r = -ESTALE;

	for (int i = 0; i < SQL_TRIES && r == -ESTALE; i++) {
		backend_pages_close(d->pages);
		d->pages = NULL;
		strbuf_clear(&d->text);
		r = open_sql(fs, n, &d->pages);
		if (r || backend_pages_size(d->pages) > SQL_TEXT_MAX)
			return r;
		r = backend_pages_read(d->pages, 0, backend_pages_size(d->pages), &d->text);
	}
	backend_pages_close(d->pages);
	d->pages = NULL;
	return r;
}

static int open_progress(struct fs *fs, const struct node *n, struct progress **out)
{
	auto_scope struct scope scope = {.n = 0};
	struct range range;
	int r = fs_scope(fs, n, &scope);

	if (r == 0 && !interned_get_range(&fs->interned, n->interned, &range))
		r = -ESTALE;
	return r ? r : progress_new(fs->backend, &scope, strcmp(range.name, NAME_FULL_REFRESH) == 0, out);
}

static int make(struct fs *fs, const struct node *n, struct document *d)
{
	const struct fixed_name *f;

	switch (n->kind) {
	case NODE_BATCH:
		return backend_batch_document(fs->backend, n->model, n->ordinal, &d->text);
	case NODE_RANGE:
		return render_range(fs, n, &d->text);
	case NODE_BATCH_SQL:
	case NODE_RANGE_SQL:
		return make_sql(fs, n, d);
	case NODE_DOCUMENT:
	case NODE_RUN:
	case NODE_FULL_REFRESH:
	case NODE_ADOPT:
	case NODE_VALIDATE:
		f = fixed_of(n);
		return f->open ? f->open(fs, &d->pages) : f->render(fs, n, &d->text);
	case NODE_BATCH_VALIDATE:
	case NODE_RANGE_VALIDATE:
		return validation_table(fs, n, &d->text);
	case NODE_BATCH_VALIDATE_JSON:
	case NODE_RANGE_VALIDATE_JSON:
		return validation_json(fs, n, &d->text);
	case NODE_PROGRESS:
		return open_progress(fs, n, &d->progress);
	case NODE_HISTORY:
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

int document_make(struct fs *fs, const struct node *n, struct document *d)
{
	int r = make(fs, n, d);

	if (r == 0 && strbuf_broken(&d->text))
		r = -ENOMEM;
	if (r) {
		document_fini(d);
		return r;
	}
	d->size = d->pages ? backend_pages_size(d->pages) : d->text.len;
	return 0;
}

int document_fix(struct fs *fs, uint64_t fh, uid_t uid, struct document *d)
{
	if (d->pages) {
		handle_set_pages(&fs->handles, fh, d->pages);
		d->pages = NULL;
		return 0;
	}
	if (d->progress) {
		handle_set_progress(&fs->handles, fh, d->progress);
		d->progress = NULL;
		return 0;
	}
	struct text *text = text_new(&fs->handles.texts, uid, &d->text);
	if (!text)
		return -ENOMEM;
	handle_set_text(&fs->handles, fh, text);
	return 0;
}

int document_make_for(struct fs *fs, const struct node *n, uint64_t fh, uid_t uid, size_t *size)
{
	auto_document struct document d;

	document_init(&d);
	int r = document_make(fs, n, &d);
	*size = d.size;
	return r || !fh ? r : document_fix(fs, fh, uid, &d);
}

int document_read(struct fs *fs, uint64_t fh, size_t off, size_t size, struct strbuf *out)
{
	struct backend_pages *pages = handle_pages(&fs->handles, fh);
	int r = pages ? backend_pages_read(pages, off, size, out)
		      : handle_read_text(&fs->handles, fh, off, size, out);

	backend_pages_close(pages);
	return r == 0 && strbuf_broken(out) ? -ENOMEM : r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/fixed_names.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "fs/name.h"
#include "fs/node.h"
#include "fs/private.h"
#include "fs/scope.h"
#include "fs/validation.h"

static int root_status(struct fs *fs, const struct node *n, struct strbuf *out)
{
	(void)n;
	return backend_root_status(fs->backend, out);
}

static int metrics(struct fs *fs, const struct node *n, struct strbuf *out)
{
	(void)n;
	return backend_metrics_document(fs->backend, out);
}

static int model_document(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return backend_model_document(fs->backend, n->model, out);
}

static int model_status(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return backend_model_status(fs->backend, n->model, out);
}

static int full_refresh(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return backend_full_refresh_document(fs->backend, n->model, out);
}

static int model_run(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return backend_run_document(fs->backend, n->model, out);
}

/* The models that it is about: to be freed; NULL: no memory. */
static slot *models_of(const struct scope *scope)
{
	slot *models = calloc(scope->n + 1, sizeof(*models));

	for (size_t i = 0; models && i < scope->n; i++)
		models[i] = scope_list(scope)[i].model;
	return models;
}

static int full_refreshes(struct fs *fs, const struct node *n, struct strbuf *out)
{
	auto_scope struct scope scope = {.n = 0};
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);
	int r = dir ? fs_scope(fs, n, &scope) : -ESTALE;
	auto_free slot *models = models_of(&scope);

	if (r || !models)
		return r ? r : -ENOMEM;
	const struct backend_file file = {
		.model = SLOT_NONE, .selection = dir->text, .name = fixed_of(n)->text};
	return backend_full_refreshes_document(fs->backend, models, scope.n, &file, out);
}

static int adopt(struct fs *fs, const struct node *n, struct strbuf *out)
{
	auto_scope struct scope scope = {.n = 0};
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);
	const struct backend_file file = {.model = n->model,
					  .selection = dir ? dir->text : NULL,
					  .name = dir ? fixed_of(n)->text : NULL};
	int r = fs_scope(fs, n, &scope);
	auto_free slot *models = models_of(&scope);

	if (r || !models)
		return r ? r : -ENOMEM;
	return backend_adopt_document(fs->backend, models, scope.n, n->model < 0, &file, out);
}

static int draw_calendar(struct fs *fs, const struct node *n, bool svg, struct strbuf *out)
{
	auto_scope struct scope scope = {.n = 0};
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);
	int r = fs_scope(fs, n, &scope);
	auto_free slot *models = models_of(&scope);

	if (r || !models)
		return r ? r : -ENOMEM;
	const char *title = dir ? dir->text : n->model >= 0 ? backend_model_dir(fs->backend, n->model) : NULL;
	return backend_calendar_document(fs->backend, models, scope.n, title, svg, out);
}

static int calendar(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return draw_calendar(fs, n, false, out);
}

static int calendar_svg(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return draw_calendar(fs, n, true, out);
}

static int root_run(struct fs *fs, const struct node *n, struct strbuf *out)
{
	auto_scope struct scope scope = {.n = 0};
	int r = fs_scope(fs, n, &scope);
	struct backend_selection all = {.models = calloc(scope.n + 1, sizeof(*all.models))};

	if (r == 0 && !all.models)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < scope.n; i++)
		all.models[all.n_models++] = scope_list(&scope)[i].model;
	if (r == 0)
		r = backend_selection_document(fs->backend, &all, NULL, false, out);
	free(all.models);
	return r;
}

static int of_selection(struct fs *fs, const struct node *n, bool status, struct strbuf *out)
{
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);

	return dir ? backend_selection_document(fs->backend, &dir->selected, dir->text, status, out)
		   : -ESTALE;
}

static int selection_status(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return of_selection(fs, n, true, out);
}

static int selection_run(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return of_selection(fs, n, false, out);
}

static int run_results(struct fs *fs, struct backend_pages **out)
{
	return backend_run_results_open(fs->backend, out);
}

static const struct fixed_name table[] = {
	{NAME_RUN, NODE_ROOT, NODE_RUN, 0666, root_run, true},
	{".adopt", NODE_ROOT, NODE_ADOPT, 0666, adopt, false},
	{".validate", NODE_ROOT, NODE_VALIDATE, 0666, validation_table, true},
	{".validate.json", NODE_ROOT, NODE_DOCUMENT, 0444, validation_json, true, true},
	{".status", NODE_ROOT, NODE_DOCUMENT, 0444, root_status, true},
	{".history", NODE_ROOT, NODE_HISTORY, 0444, NULL, true},
	{".metrics", NODE_ROOT, NODE_DOCUMENT, 0444, metrics, true},
	{".calendar", NODE_ROOT, NODE_DOCUMENT, 0444, calendar, true},
	{".calendar.svg", NODE_ROOT, NODE_DOCUMENT, 0444, calendar_svg, true},
	{".run_results.json", NODE_ROOT, NODE_DOCUMENT, 0444, NULL, true, .open = run_results},
	{".model", NODE_MODEL, NODE_DOCUMENT, 0444, model_document, false},
	{".status", NODE_MODEL, NODE_DOCUMENT, 0444, model_status, true},
	{".history", NODE_MODEL, NODE_HISTORY, 0444, NULL, true},
	{".calendar", NODE_MODEL, NODE_DOCUMENT, 0444, calendar, true},
	{".calendar.svg", NODE_MODEL, NODE_DOCUMENT, 0444, calendar_svg, true, true},
	{NAME_FULL_REFRESH, NODE_MODEL, NODE_FULL_REFRESH, 0666, full_refresh, true},
	{NAME_RUN, NODE_MODEL, NODE_RUN, 0666, model_run, true},
	{".adopt", NODE_MODEL, NODE_ADOPT, 0666, adopt, false},
	{".validate", NODE_MODEL, NODE_VALIDATE, 0666, validation_table, true},
	{".validate.json", NODE_MODEL, NODE_DOCUMENT, 0444, validation_json, true, true},
	{".status", NODE_SELECTION, NODE_DOCUMENT, 0444, selection_status, true},
	{".calendar", NODE_SELECTION, NODE_DOCUMENT, 0444, calendar, true},
	{".calendar.svg", NODE_SELECTION, NODE_DOCUMENT, 0444, calendar_svg, true, true},
	{NAME_RUN, NODE_SELECTION, NODE_RUN, 0666, selection_run, true},
	{NAME_FULL_REFRESH, NODE_SELECTION, NODE_FULL_REFRESH, 0666, full_refreshes, true},
	{".adopt", NODE_SELECTION, NODE_ADOPT, 0666, adopt, false},
	{".validate", NODE_SELECTION, NODE_VALIDATE, 0666, validation_table, true},
	{".validate.json", NODE_SELECTION, NODE_DOCUMENT, 0444, validation_json, true, true},
};

#define LINES (sizeof(table) / sizeof(table[0]))

_Static_assert(LINES <= NODE_FIXED_MAX + 1, "a line's number has its place in the inode number");

const struct fixed_name *fixed_name(unsigned i)
{
	return i < LINES ? &table[i] : NULL;
}

const struct fixed_name *fixed_find(enum node_kind in, const char *text, unsigned *number)
{
	for (unsigned i = 0; i < LINES; i++)
		if (table[i].in == in && strcmp(table[i].text, text) == 0) {
			*number = i;
			return &table[i];
		}
	return NULL;
}

const struct fixed_name *fixed_of(const struct node *n)
{
	const struct fixed_name *f = node_traits(n)->fixed ? fixed_name(n->fixed) : NULL;

	if (!f || f->kind != n->kind || (f->in == NODE_MODEL) != (n->model >= 0))
		return NULL;
	return f;
}

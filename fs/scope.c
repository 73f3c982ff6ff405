/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/scope.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "fs/interned.h"
#include "fs/name.h"
#include "fs/node.h"
#include "fs/private.h"

static ordinal min_ordinal(ordinal a, ordinal b)
{
	return a < b ? a : b;
}

static ordinal max_ordinal(ordinal a, ordinal b)
{
	return a > b ? a : b;
}

void scope_fini(struct scope *p)
{
	free(p->many);
	*p = (struct scope){.n = 0};
}

int scope_copy(struct scope *out, const struct scope *p)
{
	*out = *p;
	if (!p->many)
		return 0;
	out->many = malloc((p->n + 1) * sizeof(*p->many));
	if (!out->many) {
		*out = (struct scope){.n = 0};
		return -ENOMEM;
	}
	memcpy(out->many, p->many, p->n * sizeof(*p->many));
	return 0;
}

bool scope_empty(const struct scope *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (scope_list(p)[i].batches.first < scope_list(p)[i].batches.end)
			return false;
	return true;
}

bool scope_meet(const struct scope *p, slot model, struct ordinal_range batches)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct backend_part *mine = &scope_list(p)[i];
		if (mine->model == model && mine->batches.first < batches.end &&
		    batches.first < mine->batches.end)
			return true;
	}
	return false;
}

bool scope_only_runs(const struct scope *p)
{
	return (p->states & STATES_UNSETTLED) == 1u << BATCH_RUNNING;
}

bool scope_share_unsettled(const struct backend *b, const struct scope *p, const struct scope *others)
{
	for (size_t i = 0; i < p->n * others->n; i++) {
		const struct backend_part *one = &scope_list(p)[i / others->n];
		const struct backend_part *other = &scope_list(others)[i % others->n];
		struct backend_part both = {
			.model = one->model,
			.batches.first = max_ordinal(one->batches.first, other->batches.first),
			.batches.end = min_ordinal(one->batches.end, other->batches.end),
			/* What is changed may be queued or running, too. */
			.states = STATES_UNSETTLED &
				  (other->states && !(other->states & SET_CHANGED) ? other->states : ~0u),
		};
		if (scope_only_runs(p))
			both.states &= ~(1u << BATCH_QUEUED);
		if (one->model == other->model && both.states && backend_count(b, &both, 1) > 0)
			return true;
	}
	return false;
}

static bool unsettled_from(const struct backend *b, const struct scope *p, struct scope_place *at)
{
	for (; at->part < p->n; at->part++, at->batch = 0) {
		const struct backend_part *mine = &scope_list(p)[at->part];
		struct ordinal_range rest = mine->batches;
		rest.first = at->batch > rest.first ? at->batch : rest.first;
		/* Until its table has been looked at nobody knows what it is. */
		at->batch = rest.first < rest.end && backend_looking(b, mine->model)
				    ? rest.first
				    : backend_next_unsettled(b, mine->model, rest);
		if (at->batch < rest.end)
			return true;
	}
	*at = (struct scope_place){.part = 0};
	return false;
}

bool scope_unsettled(const struct backend *b, const struct scope *p, struct scope_place *at)
{
	bool whole = at->part == 0 && at->batch == 0;

	/* What lies before may have been queued again meanwhile. */
	return unsettled_from(b, p, at) || (!whole && unsettled_from(b, p, at));
}

const struct backend_part *scope_unrunnable(const struct backend *b, const struct scope *p)
{
	const struct backend_part *first = NULL;

	for (size_t i = 0; i < p->n; i++) {
		const struct backend_part *mine = &scope_list(p)[i];
		bool asked = !p->selected || !p->states;
		if (backend_runnable(b, mine->model))
			return NULL;
		if (!first && (asked || backend_count(b, mine, 1) > 0))
			first = mine;
	}
	return first;
}

void scope_leave_out_unrunnable(const struct backend *b, struct scope *p)
{
	size_t n = 0;

	for (size_t i = 0; p->many && i < p->n; i++)
		if (backend_runnable(b, p->many[i].model))
			p->many[n++] = p->many[i];
	if (p->many)
		p->n = n;
}

/* Clipped to what exists. False: nothing is left. */
static bool clip(struct fs *fs, slot model, struct ordinal_range batches, struct backend_part *out)
{
	struct ordinal_range existing = backend_existing(fs->backend, model);

	out->model = model;
	out->batches.first = max_ordinal(batches.first, existing.first);
	out->batches.end = min_ordinal(batches.end, existing.end);
	if (out->batches.first < out->batches.end)
		return true;
	out->batches.first = out->batches.end = existing.first;
	return false;
}

static int of_model(struct fs *fs, slot model, struct ordinal_range batches, unsigned states,
		    struct scope *out)
{
	*out = (struct scope){.n = 1, .states = states, .one = {.states = states}};
	if (clip(fs, model, batches, &out->one) || states || batches.end == NAME_EVERY_BATCH.end)
		return 0;
	return -ENOENT;
}

int fs_scope_of_name(struct fs *fs, slot model, const struct name *name, struct scope *out)
{
	return of_model(fs, model, name->batches, name->states, out);
}

int fs_scope_of_selection(struct fs *fs, const struct selection_dir *dir, struct span span, unsigned states,
			  struct scope *out)
{
	const struct backend_selection *s = &dir->selected;

	*out = (struct scope){.states = states, .selected = true};
	out->many = calloc(s->n_models, sizeof(*out->many));
	if (!out->many)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_models; i++) {
		struct backend_part *part = &out->many[out->n];
		enum batch_size size = backend_batch_size(fs->backend, s->models[i]);
		part->states = states;
		if (clip(fs, s->models[i], name_batches(size, span), part))
			out->n++;
	}
	if (out->n || states || span.start_us == SPAN_EVERYTHING.start_us)
		return 0;
	scope_fini(out);
	return -ENOENT;
}

/* Of every model. */
static int of_everything(struct fs *fs, struct scope *out)
{
	slot end = backend_models(fs->backend);

	*out = (struct scope){.selected = true};
	out->many = calloc((size_t)end + 1, sizeof(*out->many));
	if (!out->many)
		return -ENOMEM;
	for (slot m = 0; m < end; m++)
		if (!backend_gone(fs->backend, m) && clip(fs, m, NAME_EVERY_BATCH, &out->many[out->n]))
			out->n++;
	return 0;
}

bool fs_is_selected(const struct node *n)
{
	const struct node_traits *t = node_traits(n);

	/* A fixed name in a selection has the id of that. */
	return n->model < 0 && (n->kind == NODE_SELECTION || t->range || (t->fixed && n->interned));
}

struct selection_dir *fs_selection_of(struct fs *fs, const struct node *n)
{
	struct range range;

	if (!fs_is_selected(n))
		return NULL;
	if (!node_traits(n)->range)
		return interned_get_selection(&fs->interned, n->interned);
	if (!interned_get_range(&fs->interned, n->interned, &range))
		return NULL;
	return interned_get_selection(&fs->interned, range.dir.interned);
}

uint64_t fs_file_key(struct fs *fs, const struct node *n)
{
	/* No st_ino has bit 63. */
	return node_traits(n)->range ? interned_range_key(&fs->interned, n->interned) : node_ino(n);
}

uint64_t fs_dir_of(struct fs *fs, const struct node *n)
{
	struct node dir = {.kind = NODE_MODEL, .model = n->model};
	struct range range;

	if (node_traits(n)->range)
		return interned_get_range(&fs->interned, n->interned, &range) ? node_id(&range.dir) : 0;
	if (n->kind == NODE_SELECTION)
		return NODE_ROOT_INO;
	if (fs_is_selected(n)) {
		dir.kind = NODE_SELECTION;
		dir.interned = n->interned;
	} else if (n->model < 0) {
		return n->kind == NODE_ROOT ? 0 : NODE_ROOT_INO;
	}
	return node_id(&dir);
}

int fs_scope(struct fs *fs, const struct node *n, struct scope *out)
{
	struct range range = {.span = SPAN_EVERYTHING};

	*out = (struct scope){.n = 0};
	if (node_traits(n)->of_batch) {
		int r = of_model(fs, n->model, (struct ordinal_range){n->ordinal, n->ordinal + 1}, 0, out);
		out->single = r == 0;
		return r;
	}
	if (node_traits(n)->range && !interned_get_range(&fs->interned, n->interned, &range))
		return -ESTALE;
	if (n->model >= 0)
		return of_model(fs, n->model,
				name_batches(backend_batch_size(fs->backend, n->model), range.span),
				range.states, out);
	if (!fs_is_selected(n))
		return of_everything(fs, out);
	auto_selection struct selection_dir *dir = fs_selection_of(fs, n);
	return dir ? fs_scope_of_selection(fs, dir, range.span, range.states, out) : -ESTALE;
}

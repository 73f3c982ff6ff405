/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/refusals.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/hash.h"

struct refusal {
	TAILQ_ENTRY(refusal) link;
	struct backend_file file;
	uid_t uid;
	struct report_refusal what;
	char texts[]; /* of file.selection and file.name */
};

struct batch_key {
	slot model;
	ordinal batch;
};

/* A listing asks for every batch. */
struct refused_batch {
	struct batch_key key;
	const struct refusal *newest;
	UT_hash_handle hh;
};

void refusals_init(struct refusals *t)
{
	*t = (struct refusals){.batches = NULL};
	TAILQ_INIT(&t->list);
}

static bool is_batch(const struct backend_file *f)
{
	return f->model >= 0 && !f->selection && f->batches.end == f->batches.first + 1;
}

static struct refused_batch *find_batch(const struct refusals *t, slot model, ordinal batch)
{
	struct batch_key key = {.model = model, .batch = batch};
	struct refused_batch *found;
	HASH_FIND(hh, t->batches, &key, sizeof key, found);
	return found;
}

/* Finds the batch's newest refusal anew; the batch goes when it has none. */
static void point_batch(struct refusals *t, slot model, ordinal batch)
{
	struct refused_batch *entry = find_batch(t, model, batch);
	const struct refusal *newest;
	TAILQ_FOREACH(newest, &t->list, link)
	{
		if (is_batch(&newest->file) && newest->file.model == model &&
		    newest->file.batches.first == batch)
			break;
	}
	if (!newest) {
		if (entry)
			HASH_DELETE(hh, t->batches, entry);
		free(entry);
		return;
	}
	if (!entry) {
		entry = calloc(1, sizeof *entry);
		if (!entry)
			return;
		entry->key = (struct batch_key){.model = model, .batch = batch};
		HASH_ADD(hh, t->batches, key, sizeof entry->key, entry);
		if (!hash_has(entry->hh)) {
			free(entry);
			return;
		}
	}
	entry->newest = newest;
}

static void drop(struct refusals *t, struct refusal *r)
{
	TAILQ_REMOVE(&t->list, r, link);
	t->n--;
	if (is_batch(&r->file))
		point_batch(t, r->file.model, r->file.batches.first);
	free(r);
}

void refusals_fini(struct refusals *t)
{
	struct refusal *r;
	struct refused_batch *entry, *next;
	HASH_ITER(hh, t->batches, entry, next)
	{
		HASH_DELETE(hh, t->batches, entry);
		free(entry);
	}
	while ((r = TAILQ_FIRST(&t->list))) {
		TAILQ_REMOVE(&t->list, r, link);
		free(r);
	}
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : !a && !b;
}

static bool same_file(const struct backend_file *a, const struct backend_file *b)
{
	return a->model == b->model && a->batches.first == b->batches.first &&
	       a->batches.end == b->batches.end && a->full_refresh == b->full_refresh &&
	       a->lookup == b->lookup && same_text(a->selection, b->selection) && same_text(a->name, b->name);
}

static struct refusal *oldest_of(const struct refusals *t, uid_t uid, unsigned *count)
{
	struct refusal *r, *oldest = NULL;
	*count = 0;
	TAILQ_FOREACH(r, &t->list, link)
	{
		if (r->uid != uid)
			continue;
		++*count;
		oldest = r;
	}
	return oldest;
}

/* Of the user who has the most. */
static struct refusal *least_missed(const struct refusals *t)
{
	struct refusal *r, *found = NULL;
	unsigned most = 0, count;
	TAILQ_FOREACH(r, &t->list, link)
	{
		struct refusal *oldest = oldest_of(t, r->uid, &count);
		if (count > most) {
			most = count;
			found = oldest;
		}
		/* No user has more, and the first that is met was refused last. */
		if (most == REFUSALS_A_USER)
			break;
	}
	return found;
}

static void make_room(struct refusals *t, const struct backend_file *file, uid_t uid)
{
	struct refusal *r;
	unsigned count;
	TAILQ_FOREACH(r, &t->list, link)
	{
		if (r->uid == uid && same_file(&r->file, file)) {
			drop(t, r);
			return;
		}
	}
	struct refusal *oldest = oldest_of(t, uid, &count);
	if (count >= REFUSALS_A_USER)
		drop(t, oldest);
	else if (t->n >= REFUSALS_KEPT)
		drop(t, least_missed(t));
}

void refusals_add(struct refusals *t, const struct backend_file *file, uid_t uid,
		  const struct report_refusal *what)
{
	size_t selection = file->selection ? strlen(file->selection) + 1 : 0;
	size_t name = file->name ? strlen(file->name) + 1 : 0;
	struct refusal *r = calloc(1, sizeof *r + selection + name);
	if (!r)
		return;
	r->file = *file;
	r->uid = uid;
	r->what = *what;
	if (selection)
		r->file.selection = memcpy(r->texts, file->selection, selection);
	if (name)
		r->file.name = memcpy(r->texts + selection, file->name, name);
	make_room(t, file, uid);
	TAILQ_INSERT_HEAD(&t->list, r, link);
	t->n++;
	if (is_batch(&r->file))
		point_batch(t, r->file.model, r->file.batches.first);
}

/* What a refusal is looked for by: the directory that it lies in. */
struct wanted {
	slot model;	       /* SLOT_NONE: any */
	const char *selection; /* NULL: any, or with a model none */
};

static bool lies_in(const struct refusal *r, const struct wanted *w)
{
	if (w->selection)
		return r->file.selection && strcmp(r->file.selection, w->selection) == 0;
	return w->model == SLOT_NONE || (r->file.model == w->model && !r->file.selection);
}

/* A look-up does not stand in front of another user's request. */
static const struct report_refusal *newest_in(const struct refusals *t, const struct wanted *w)
{
	const struct refusal *r, *lookup = NULL;
	TAILQ_FOREACH(r, &t->list, link)
	{
		if (!lies_in(r, w))
			continue;
		if (!r->file.lookup)
			break;
		if (!lookup)
			lookup = r;
	}
	if (lookup && (!r || r->uid == lookup->uid))
		return &lookup->what;
	return r ? &r->what : NULL;
}

const struct report_refusal *refusals_of_root(const struct refusals *t)
{
	return newest_in(t, &(struct wanted){.model = SLOT_NONE});
}

const struct report_refusal *refusals_of_model(const struct refusals *t, slot model)
{
	return newest_in(t, &(struct wanted){.model = model});
}

const struct report_refusal *refusals_of_full_refresh(const struct refusals *t, slot model)
{
	const struct refusal *r;
	TAILQ_FOREACH(r, &t->list, link)
	{
		if (r->file.model == model && r->file.full_refresh)
			return &r->what;
	}
	return NULL;
}

const struct report_refusal *refusals_of_range(const struct refusals *t, slot model,
					       struct ordinal_range batches)
{
	const struct refusal *r;
	TAILQ_FOREACH(r, &t->list, link)
	{
		const struct ordinal_range *mine = &r->file.batches;
		if (r->file.model == model && !r->file.selection && mine->first < mine->end &&
		    mine->first >= batches.first && mine->end <= batches.end)
			return &r->what;
	}
	return NULL;
}

const struct report_refusal *refusals_of_batch(const struct refusals *t, slot model, ordinal batch)
{
	const struct refused_batch *entry = t->batches ? find_batch(t, model, batch) : NULL;
	return entry ? &entry->newest->what : NULL;
}

const struct report_refusal *refusals_of_selection(const struct refusals *t, const char *selection,
						   const char *name)
{
	const struct wanted all = {.model = SLOT_NONE, .selection = selection};
	const struct refusal *r;
	if (!name)
		return newest_in(t, &all);
	TAILQ_FOREACH(r, &t->list, link)
	{
		if (lies_in(r, &all) && same_text(r->file.name, name))
			return &r->what;
	}
	return NULL;
}

const struct report_refusal *refusals_newer(const struct report_refusal *a, const struct report_refusal *b)
{
	if (!a || !b)
		return a ? a : b;
	return b->at > a->at ? b : a;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which models there are: the first catalog comes at open, as any later one would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/catalog.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/job.h"
#include "backend/schedule/model.h"
#include "backend/schedule/orphans.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/sink.h"
#include "backend/schedule/take_back.h"

/* New slots get their place in what is kept a model, before anybody can name them. */
static int grow(struct backend *b)
{
	slot end = models_end(b->models);
	struct model_runtime *runtime = realloc(b->runtime, ((size_t)end + 1) * sizeof *runtime);
	if (!runtime)
		return -ENOMEM;
	b->runtime = runtime;
	for (slot s = b->runtime_end; s < end; s++) {
		if (ledger_enlist(b->ledger, s, models_prepared(b->models, s)) < 0)
			return -ENOMEM;
		b->runtime[s] = (struct model_runtime){0};
	}
	b->runtime_end = end;
	return 0;
}

/* What the store is told, and says, by slot. */
struct taking {
	slot n;
	const struct model **facts; /* NULL: the catalog has no such model */
	struct store_target *targets;
	bool *news; /* it has appeared, has gone, or has other facts that show in names, modes or what is
		       built */
};

static int prepare(struct backend *b, struct taking *t, struct catalog *catalog, struct error *err)
{
	LOCKED(&b->lock);
	int r = models_prepare(b->models, catalog, catalog_free, err);
	if (r < 0)
		return r;
	t->n = models_end(b->models);
	t->facts = calloc((size_t)t->n + 1, sizeof *t->facts);
	t->targets = calloc((size_t)t->n + 1, sizeof *t->targets);
	t->news = calloc((size_t)t->n + 1, sizeof *t->news);
	if (!t->facts || !t->targets || !t->news || grow(b) < 0) {
		models_abandon(b->models);
		return error_set(err, ENOMEM, "no memory for %s",
				 count_of((uint64_t)t->n, "model", "models").text);
	}
	for (slot s = 0; s < t->n; s++)
		t->facts[s] = models_prepared(b->models, s);
	return 0;
}

static int adapt(struct backend *b, const struct taking *t, struct error *err)
{
	LOCKED(&b->lock);
	for (slot s = 0; s < t->n; s++) {
		if (!t->facts[s])
			continue;
		if (ledger_adapt(b->ledger, s, t->facts[s]) < 0)
			return error_set(err, ENOMEM, "no memory for the batches of %s", dir_of(b, s));
		/* Before the states are loaded: another mount may have made the table since. */
		look_forget_gone(b, s, &t->targets[s]);
	}
	return 0;
}

/* With the lock. */
static bool same_facts(const struct model *a, const struct model *b)
{
	return strcmp(a->code, b->code) == 0 && a->begin == b->begin && a->lookback == b->lookback &&
	       a->full_refresh == b->full_refresh && a->atomic_refresh == b->atomic_refresh &&
	       a->concurrent_batches == b->concurrent_batches;
}

/* With the lock. */
static void new_target(struct backend *b, slot s, const struct store_target *target, bool other_code)
{
	struct model_runtime *m = &b->runtime[s];
	model_target(m, target);
	look_met(b, s, target);
	if (!other_code)
		return;
	/* What refused the former SQL says nothing of this one. */
	m->prepared = false;
	free(m->prepare_error);
	m->prepare_error = NULL;
}

/* With the lock. What is claimed and has not begun goes back to the queue: it is built by what is in force
 * when it begins, or not at all. */
static void take_back_unbegun(struct backend *b, const struct taking *t)
{
	for (int i = 0; i < b->config.jobs; i++) {
		struct job_worker *w = &b->workers[i];
		if (w->kind == JOB_BUILD && t->news[w->run.model])
			take_back_range(w, (struct ordinal_range){0, UINT32_MAX});
	}
}

/* Returns what held the former catalog, to be dropped without the lock: it may be large. */
static struct held_catalog *swap(struct backend *b, struct taking *t)
{
	LOCKED(&b->lock);
	struct held_catalog *former = models_count(b->models) ? models_hold_current(b->models) : NULL;
	auto_free bool *ran = calloc((size_t)t->n + 1, sizeof *ran);
	auto_free bool *other_code = calloc((size_t)t->n + 1, sizeof *other_code);
	for (slot s = 0; s < t->n; s++) {
		const struct model *was = models_gone(b->models, s) ? NULL : facts_of(b, s),
				   *now = t->facts[s];
		t->news[s] = !was != !now || (was && now && !same_facts(was, now));
		if (ran && other_code) {
			ran[s] = was && model_runs(b, s);
			other_code[s] = now && strcmp(facts_of(b, s)->code, now->code) != 0;
		}
		if (was && now && strcmp(was->code, now->code) != 0 && !b->config.read_only)
			orphans_recode(b, s, was->code);
	}
	models_swap(b->models);
	take_back_unbegun(b, t);
	b->orphans_at = 0;
	b->remembering = !b->config.read_only;
	b->remembered = 0;
	for (slot s = 0; s < t->n; s++) {
		if (t->facts[s])
			new_target(b, s, &t->targets[s], !other_code || other_code[s]);
		t->news[s] |= !ran || ran[s] != model_runs(b, s) || t->targets[s].look;
		/* What is kept of a model may name facts of the catalog that has gone. */
		if (t->news[s])
			touch_model(b, s);
		else
			b->runtime[s].generation++;
	}
	b->changes++;
	b->woken = b->held_due = true;
	lane_wake(&b->lanes[LANE_LOOK]);
	return former;
}

/* Names before attributes: whoever looks at once finds the new ones. */
static void tell(struct backend *b, const struct taking *t)
{
	auto_free slot *models = calloc((size_t)t->n + 1, sizeof *models);
	size_t n = 0;
	for (slot s = 0; models && s < t->n; s++)
		if (t->news[s])
			models[n++] = s;
	if (b->listener.models && n)
		b->listener.models(b->listener.ctx, models, n);
	for (size_t i = 0; i < n; i++)
		changed(b, models[i], backend_existing(b, models[i]));
}

/* A slot that the store has never had cannot be gone for it: its model was in a manifest that did not come
 * into force. Such a one is met first. */
static int enlist(struct backend *b, const struct model *const *facts, struct store_target *targets, slot n,
		  struct error *err)
{
	auto_free const struct model **all = calloc((size_t)n + 1, sizeof *all);
	bool unmet = false;
	int r = all ? 0 : error_set(err, ENOMEM, "no memory for models");
	for (slot s = 0; r == 0 && s < n; s++) {
		LOCKED(&b->lock);
		bool never = !facts[s] && s >= b->enlisted;
		all[s] = never ? facts_of(b, s) : facts[s];
		unmet |= never;
	}
	if (r == 0 && unmet)
		r = store_enlist(b->store, all, targets, (size_t)n, err);
	if (r == 0)
		r = store_enlist(b->store, facts, targets, (size_t)n, err);
	if (r == 0)
		b->enlisted = n;
	return r;
}

/* What the store and the ledger were told of a manifest that does not come into force is taken back: what is
 * asked for and built goes by the one that is. */
static int restore(struct backend *b, struct error *err)
{
	slot n = models_end(b->models);
	auto_free const struct model **facts = calloc((size_t)n + 1, sizeof *facts);
	auto_free struct store_target *targets = calloc((size_t)n + 1, sizeof *targets);
	if (!facts || !targets)
		return error_set(err, ENOMEM, "no memory for models");
	{
		LOCKED(&b->lock);
		for (slot s = 0; s < n; s++)
			facts[s] = models_gone(b->models, s) ? NULL : facts_of(b, s);
	}
	int r = enlist(b, facts, targets, n, err);
	b->torn = r < 0;
	return r;
}

/* The take-over has failed after the store was told. Of the ledger nothing is left that is not of the
 * manifest in force; until the store is as before, too, nothing is claimed. */
static void abandon(struct backend *b, const struct taking *t, bool told)
{
	struct error ignored = {0};
	{
		LOCKED(&b->lock);
		models_abandon(b->models);
		for (slot s = 0; told && s < t->n; s++) {
			if (!t->facts[s] || models_gone(b->models, s))
				continue;
			ledger_adapt(b->ledger, s, facts_of(b, s));
			/* What is asked for until then is recorded with the code that is not in force. */
			if (!b->config.read_only && strcmp(t->facts[s]->code, facts_of(b, s)->code) != 0)
				orphans_recode(b, s, t->facts[s]->code);
		}
		told &= models_count(b->models) > 0;
	}
	if (told)
		restore(b, &ignored);
}

int catalog_take_over(struct backend *b, struct catalog *catalog, struct error *err)
{
	struct taking t = {0};
	struct store_sink sink;
	int r = prepare(b, &t, catalog, err);
	bool prepared = r == 0;
	if (r == 0)
		r = enlist(b, t.facts, t.targets, t.n, err);
	bool told = prepared && r == 0;
	if (r == 0)
		r = adapt(b, &t, err);
	if (r == 0)
		r = store_load(b->store, backend_sink(b, &sink), err);
	if (r == 0) {
		b->torn = false;
		catalog_drop(swap(b, &t));
		tell(b, &t);
		look_answer(b, 0);
		LOCKED(&b->lock);
		b->manifest = (struct manifest_news){.loaded_at = clock_now_us(b->config.clock)};
	} else if (prepared)
		abandon(b, &t, told);
	free(t.facts);
	free(t.targets);
	free(t.news);
	return r;
}

static void failed(struct backend *b, const struct error *err)
{
	log_error(b->config.log, "the new manifest is not in force: %s", err->text);
	LOCKED(&b->lock);
	b->manifest.wrong_at = clock_now_us(b->config.clock);
	b->manifest.wrong = *err;
}

int catalog_take_coming(struct backend *b, struct error *err)
{
	struct catalog *coming;
	{
		LOCKED(&b->lock);
		coming = steal(&b->coming);
	}
	if (!coming)
		return b->torn ? restore(b, err) : 0;
	catalog_hold(coming);
	int r = catalog_take_over(b, coming, err);
	if (r == 0)
		log_info(b->config.log, "%s: read again, %s", coming->path,
			 count_of(coming->n_models, "model", "models").text);
	else if (!warehouse_away(r))
		failed(b, err);
	{
		LOCKED(&b->lock);
		if (warehouse_away(r) && !b->coming)
			b->coming = steal(&coming);
	}
	catalog_free(coming);
	return warehouse_away(r) || b->torn ? r : 0;
}

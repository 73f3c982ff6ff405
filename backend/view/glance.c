/* SPDX-License-Identifier: Apache-2.0 */
/* What a listing, stat and sync ask: answered from the ledger, under the lock for a moment. */
#include "backend/view/causes.h"

int backend_models(const struct backend *b)
{
	LOCKED(lock_of(b));
	return models_end(b->models);
}

slot backend_find(const struct backend *b, const char *dir)
{
	LOCKED(lock_of(b));
	return models_find(b->models, dir);
}

const char *backend_model_dir(const struct backend *b, slot model)
{
	return dir_of(b, model);
}

enum batch_size backend_batch_size(const struct backend *b, slot model)
{
	return models_batch_size(b->models, model);
}

bool backend_runnable(const struct backend *b, slot model)
{
	LOCKED(lock_of(b));
	return model_runs(b, model);
}

bool backend_protected(const struct backend *b, slot model)
{
	LOCKED(lock_of(b));
	return b->config.protect || facts_of(b, model)->full_refresh == TRI_FALSE ||
	       ledger_protected(b->ledger, model, NULL) != NULL;
}

bool backend_read_only(const struct backend *b)
{
	return b->config.read_only;
}

struct ordinal_range backend_existing(const struct backend *b, slot model)
{
	LOCKED(lock_of(b));
	return plan_existing(facts_of(b, model), clock_now_us(b->config.clock));
}

/* With the lock. */
static void glance(const struct backend *b, slot model, ordinal batch, struct batch_glance *out)
{
	size_t text;
	out->state = ledger_glance(b->ledger, model, batch, &out->attempt, &out->built_at, &text);
	if (out->state == BATCH_DONE)
		out->state = plan_state(b->ledger, b->models, model, batch);
	if (out->state == BATCH_STALE || out->state == BATCH_SKIPPED) {
		struct causes causes = {.b = b, .counting = true};
		causes_of(&causes, model, batch, out->state);
		text += causes.text;
	}
	out->size = report_batch_size(facts_of(b, model), text);
	out->writable =
		!b->config.read_only && model_runs(b, model) && !ledger_frozen(b->ledger, model, batch, NULL);
}

int backend_glance(const struct backend *b, slot model, ordinal batch, struct batch_glance *out)
{
	struct ordinal_range existing = backend_existing(b, model);
	if (batch < existing.first || batch >= existing.end)
		return -ENOENT;
	LOCKED(lock_of(b));
	glance(b, model, batch, out);
	return 0;
}

void backend_glances(const struct backend *b, slot model, ordinal first, size_t n, struct batch_glance *out)
{
	LOCKED(lock_of(b));
	for (size_t i = 0; i < n; i++)
		glance(b, model, first + (ordinal)i, &out[i]);
}

bool backend_frozen(const struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	bool any = false;
	LOCKED(lock_of(b));
	for (size_t i = 0; i < n_parts; i++) {
		struct ordinal_range all = parts[i].batches;
		struct ordinal_range frozen = ledger_next_frozen(b->ledger, parts[i].model, all);
		if (all.first < all.end && (frozen.first != all.first || frozen.end != all.end))
			return false;
		any |= all.first < all.end;
	}
	return any;
}

int64_t backend_oldest_build(const struct backend *b, slot model, struct ordinal_range batches)
{
	int64_t oldest = 0;
	LOCKED(lock_of(b));
	for (ordinal o = batches.first; o < batches.end; o++) {
		struct batch_glance g;
		glance(b, model, o, &g);
		if (g.built_at && (!oldest || g.built_at < oldest))
			oldest = g.built_at;
	}
	return oldest;
}

int64_t backend_changed_at(const struct backend *b, slot model)
{
	LOCKED(lock_of(b));
	return b->runtime[model].changed_at;
}

ordinal backend_next_unsettled(const struct backend *b, slot model, struct ordinal_range batches)
{
	LOCKED(lock_of(b));
	return ledger_next_unsettled(b->ledger, model, batches);
}

static int verdict_of(const struct backend *b, const struct backend_part *p, bool alone)
{
	bool single = alone && p->batches.end - p->batches.first == 1 && !p->states;
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		enum batch_state s = ledger_state(b->ledger, p->model, o);
		if (p->states && !(p->states >> s & 1))
			continue;
		if (batch_state_traits(s)->wrong)
			return -EIO;
		if (s == BATCH_PENDING && (single || p->states == 1u << BATCH_PENDING))
			return -ENODATA;
	}
	return 0;
}

int backend_verdict(const struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	int worst = 0;
	LOCKED(lock_of(b));
	for (size_t i = 0; i < n_parts && worst != -EIO; i++) {
		int v = verdict_of(b, &parts[i], n_parts == 1);
		worst = v ? v : worst;
	}
	return worst;
}

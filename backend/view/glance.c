/* SPDX-License-Identifier: Apache-2.0 */
/* What a listing, stat and sync ask: answered from the ledger, under the lock for a moment. */
#include "backend/base/cleanup.h"
#include "backend/view/batch.h"

int backend_models(const struct backend *b)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return models_end(v->models);
}

int backend_models_present(const struct backend *b)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return (int)models_count(v->models);
}

bool backend_gone(const struct backend *b, slot model)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return models_gone(v->models, model);
}

slot backend_find(const struct backend *b, const char *dir)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return models_find(v->models, dir);
}

const char *backend_model_dir(const struct backend *b, slot model)
{
	const struct snapshot *v = snapshot_of(b);
	return models_dir(v->models, model);
}

enum batch_size backend_batch_size(const struct backend *b, slot model)
{
	const struct snapshot *v = snapshot_of(b);
	return models_batch_size(v->models, model);
}

bool backend_runnable(const struct backend *b, slot model)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return !snapshot_model(v, model).why_not;
}

bool backend_protected(const struct backend *b, slot model)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return v->config->protect || models_at(v->models, model)->full_refresh == TRI_FALSE ||
	       ledger_protected(v->ledger, model, NULL) != NULL;
}

bool backend_read_only(const struct backend *b)
{
	const struct snapshot *v = snapshot_of(b);
	return v->config->read_only;
}

#define AT_ONCE 4096

/* With the lock. */
static void glance(const struct snapshot *v, slot model, ordinal batch, struct batch_glance *out)
{
	struct batch_view seen;
	/* Without memory the list of causes is cut, and so is the size. */
	batch_view(v, model, batch, &seen);
	*out = (struct batch_glance){
		.state = seen.info.state,
		.attempt = seen.info.attempt,
		.built_at = seen.info.built,
		.size = report_batch_size(&seen.report),
		.writable = !v->config->read_only && !snapshot_model(v, model).why_not && !seen.info.frozen,
	};
	batch_view_fini(&seen);
}

int backend_glance(const struct backend *b, slot model, ordinal batch, struct batch_glance *out)
{
	const struct snapshot *v = snapshot_of(b);
	struct ordinal_range existing = backend_existing(b, model);
	if (batch < existing.first || batch >= existing.end)
		return -ENOENT;
	LOCKED(v->lock);
	glance(v, model, batch, out);
	return 0;
}

uint64_t backend_glances(const struct backend *b, slot model, ordinal first, size_t n,
			 struct batch_glance *out)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	for (size_t i = 0; i < n; i++)
		glance(v, model, first + (ordinal)i, &out[i]);
	return snapshot_model(v, model).generation;
}

uint64_t backend_generation(const struct backend *b, slot model)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return snapshot_model(v, model).generation;
}

bool backend_frozen(const struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	const struct snapshot *v = snapshot_of(b);
	bool any = false;
	LOCKED(v->lock);
	for (size_t i = 0; i < n_parts; i++) {
		struct ordinal_range all = parts[i].batches;
		struct ordinal_range frozen = ledger_next_frozen(v->ledger, parts[i].model, all);
		if (all.first < all.end && (frozen.first != all.first || frozen.end != all.end))
			return false;
		any |= all.first < all.end;
	}
	return any;
}

int64_t backend_oldest_build(const struct backend *b, slot model, struct ordinal_range batches)
{
	const struct snapshot *v = snapshot_of(b);
	int64_t oldest = 0;
	for (ordinal o = batches.first; o < batches.end;) {
		/* Somebody else may have the lock between: a range may be seven years of hours. */
		ordinal stop = batches.end - o > AT_ONCE ? o + AT_ONCE : batches.end;
		LOCKED(v->lock);
		for (; o < stop; o++) {
			int64_t started, built;
			ledger_build_times(v->ledger, model, o, &started, &built);
			if (built && (!oldest || built < oldest))
				oldest = built;
		}
	}
	return oldest;
}

/* With the lock. */
static bool is_wrong(const struct snapshot *v, slot model, ordinal batch, uint32_t *attempt)
{
	struct batch_info info;
	if (!batch_state_traits(ledger_state(v->ledger, model, batch))->wrong)
		return false;
	ledger_info(v->ledger, model, batch, &info);
	*attempt = info.attempt;
	return true;
}

bool backend_next_wrong(const struct backend *b, slot model, struct ordinal_range range,
			struct backend_wrong *out)
{
	const struct snapshot *v = snapshot_of(b);
	bool found = false;
	uint32_t attempt;
	for (ordinal o = range.first; o < range.end;) {
		ordinal stop = range.end - o > AT_ONCE ? o + AT_ONCE : range.end;
		LOCKED(v->lock);
		for (; o < stop; o++) {
			bool wrong = is_wrong(v, model, o, &attempt);
			if (found && (!wrong || attempt != out->attempt))
				return true;
			if (wrong && !found)
				*out = (struct backend_wrong){.batches.first = o, .attempt = attempt};
			found |= wrong;
			if (wrong)
				out->batches.end = o + 1;
		}
	}
	return found;
}

int64_t backend_changed_at(const struct backend *b, slot model)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return snapshot_model(v, model).changed_at;
}

ordinal backend_next_unsettled(const struct backend *b, slot model, struct ordinal_range batches)
{
	const struct snapshot *v = snapshot_of(b);
	LOCKED(v->lock);
	return ledger_next_unsettled(v->ledger, model, batches);
}

/* named: what is asked about is of one model, which says nothing where its table cannot be looked at. */
static int verdict_of(const struct snapshot *v, const struct backend_part *p, bool single, bool named)
{
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		enum batch_state s = ledger_state(v->ledger, p->model, o);
		if (!plan_in_set(v->ledger, p->model, o, s, p->states))
			continue;
		if (batch_state_traits(s)->wrong)
			return -EIO;
		if (s == BATCH_PENDING && (single || p->states == 1u << BATCH_PENDING))
			return -ENODATA;
		if (s == BATCH_UNKNOWN && (named || p->states == 1u << BATCH_UNKNOWN))
			return -ENODATA;
	}
	return 0;
}

int backend_verdict(const struct backend *b, const struct backend_part *parts, size_t n_parts, bool single)
{
	const struct snapshot *v = snapshot_of(b);
	int worst = 0;
	LOCKED(v->lock);
	for (size_t i = 0; i < n_parts && worst != -EIO; i++) {
		int one = verdict_of(v, &parts[i], single, n_parts == 1);
		worst = one ? one : worst;
	}
	return worst;
}

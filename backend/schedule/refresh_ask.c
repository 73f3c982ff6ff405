/* SPDX-License-Identifier: Apache-2.0 */
/* Why a full refresh is refused before anything is sent. The store finds out the rest, and what changes
 * meanwhile. */
#include "backend/base/cleanup.h"
#include "backend/freeze.h"
#include "backend/ledger.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refresh_ask.h"
#include "backend/schedule/refuse.h"
#include "backend/schedule/runtime.h"

typedef void check_fn(const struct backend *b, const struct backend_part *p, struct error *why);

/* With the lock. What names the table would mean the one that is to be exchanged. */
static void check_atomic(const struct backend *b, const struct backend_part *p, struct error *why)
{
	const struct model *m = facts_of(b, p->model);
	if (!m->atomic_refresh)
		return;
	if (!b->config.engine->builder->beside)
		error_set(
			why, EOPNOTSUPP,
			"%s: meta.batchfs.refresh: atomic is not supported on this warehouse: without it the "
			"model is refreshed in place",
			m->dir);
	else if (m->reads_itself)
		error_set(why, EOPNOTSUPP,
			  "%s reads itself, so that it cannot be built beside its table: without "
			  "meta.batchfs.refresh: atomic it is refreshed in place",
			  m->dir);
	else if (m->n_hooks)
		error_set(why, EOPNOTSUPP,
			  "%s has a hook, which would run on the table that is to be exchanged: without "
			  "meta.batchfs.refresh: atomic it is refreshed in place",
			  m->dir);
}

/* With the lock. */
static void check_model(const struct backend *b, const struct backend_part *p, struct error *why)
{
	const char *why_not = model_why_not(b, p->model);
	if (why_not)
		error_set(why, EOPNOTSUPP, "%s", why_not);
	else if (p->batches.first >= p->batches.end)
		error_set(why, ENOENT, "%s has no batch now", dir_of(b, p->model));
	else
		check_atomic(b, p, why);
}

/* With the lock. */
static void check_protected(const struct backend *b, const struct backend_part *p, struct error *why)
{
	const struct model *m = facts_of(b, p->model);
	char because[FREEZE_WHY_MAX];
	int64_t at;
	const struct requester *by = ledger_protected(b->ledger, p->model, &at);
	if (m->full_refresh == TRI_FALSE) {
		refresh_protected(why, m, "its dbt config says full_refresh: false");
	} else if (b->config.protect) {
		refresh_protected(why, m, "this mount was made with -o protect");
	} else if (by) {
		freeze_why_protected(by->uid, by->command, at, because);
		refresh_protected(why, m, because);
	}
}

/* With the lock. */
static void check_frozen(const struct backend *b, const struct backend_part *p, struct error *why)
{
	/* With the table all goes. */
	struct ordinal_range of = engine_builder(b->config.engine, facts_of(b, p->model))->refresh_anew
					  ? (struct ordinal_range){0, UINT32_MAX}
					  : p->batches;
	struct ordinal_range frozen = ledger_next_frozen(b->ledger, p->model, of);
	struct store_freeze f = {.at = 0};
	const struct requester *by =
		frozen.first < of.end ? ledger_frozen(b->ledger, p->model, frozen.first, &f.at) : NULL;
	if (!by)
		return;
	f.uid = by->uid;
	f.command = by->command;
	refresh_frozen(why, facts_of(b, p->model), &f, frozen.first);
}

/* With the lock. */
static void check_busy(const struct backend *b, const struct backend_part *p, struct error *why)
{
	const struct ledger_refresh *f = ledger_refresh(b->ledger, p->model);
	const struct store_freeze by = {
		.uid = f->by ? f->by->uid : 0, .command = f->by ? f->by->command : "", .at = f->since};
	if (f->phase != REFRESH_OVER)
		refresh_busy(why, facts_of(b, p->model), &by);
}

/* With the lock. Behind what protects the model, which whoever builds it has to respect. */
static void check_engine(const struct backend *b, const struct backend_part *p, struct error *why)
{
	const struct engine *e = b->config.engine;
	const struct model *m = facts_of(b, p->model);
	const struct builder_traits *by = engine_builder(e, m);
	if (by->refresh_anew && !e->stores_anew)
		error_set(
			why, EOPNOTSUPP,
			"%s: %s makes the table anew in a full refresh, which the store of this mount does not "
			"record: say `dbt run --full-refresh`, then touch .adopt",
			m->dir, by->name);
}

int refresh_refused(struct backend *b, const struct backend_request *r)
{
	/* The first one that refuses any of the models decides for all of them. */
	static check_fn *const checks[] = {check_model, check_protected, check_engine, check_frozen,
					   check_busy};
	struct error why = {0};
	const struct backend_part *p = r->parts;
	if (b->config.read_only)
		error_set(&why, EROFS, "this mount is read only (-o ro)");
	for (size_t c = 0; c < sizeof checks / sizeof *checks && !why.err; c++) {
		for (size_t i = 0; i < r->n_parts && !why.err; i++) {
			LOCKED(&b->lock);
			p = &r->parts[i];
			checks[c](b, p, &why);
		}
	}
	return why.err ? refuse_part(b, r->file, p, r->uid, &why) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/build.h"
#include "backend/dbt/home.h"
#include "backend/dbt/look.h"
#include "backend/dbt/worker.h"
#include "backend/engine.h"
#include "backend/verdict.h"

static int history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell,
		   void *ctx, struct error *err)
{
	sqlite3 *db = NULL;
	int r = store_usable(w->store, err);
	if (r == 0)
		r = queue_connect(w->store, &w->patience, &db, err);
	if (r == 0)
		r = queue_history(w->store, db, NULL, model, most, cursor, tell, ctx, err);
	sqlite3_close(db);
	return r;
}

static int prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err)
{
	struct queue_model qm = queue_model_of(w->store, model);
	sqlite3 *db = NULL;
	if (!qm.enlisted || !qm.queue_id)
		return 0;
	int r = store_usable(w->store, err);
	if (r == 0)
		r = queue_connect(w->store, &w->patience, &db, err);
	if (r == 0)
		r = queue_prune(db, qm.queue_id, keep, before, INT64_MAX, err);
	sqlite3_close(db);
	return r;
}

/* What others do to a table only a look tells. */
static int check(struct store *s, const struct store_sink *sink, struct error *err)
{
	return store_usable(s, err);
}

static const struct store_ops store_ops = {
	.open = home_open,
	.close = home_close,
	.enlist = home_enlist,
	.load = home_load,
	.follow = queue_follow,
	.check = check,
	.wake = queue_wake,
	.abandon = queue_abandon,
	.request = queue_request,
	.claim = queue_claim,
	.settle = queue_settle,
	.retire = queue_retire,
	.forget_answers = queue_forget_answers,
	.recode = queue_recode,
	.orphans = queue_orphans,
	.recall = queue_recall,
	.remember = queue_remember,
	.refresh = queue_refresh,
};

static const struct builder_ops builder_ops = {
	.worker_open = dbt_worker_open,
	.worker_close = dbt_worker_close,
	.prepare = dbt_prepare,
	.look = dbt_look,
	.build = dbt_build,
	.interrupt = dbt_interrupt,
	.history = history,
	.prune = prune,
	.statements = dbt_statements,
};

static void hint(const struct engine_config *config, int err, struct strbuf *out)
{
	if (err == ENOENT)
		strbuf_puts(
			out,
			"-o engine=dbt,project=DIR[,dbt=COMMAND][,profiles=DIR][,target=NAME]: the project that "
			"the manifest was made from, and the dbt that runs it");
}

const struct engine engine_dbt = {
	.name = "dbt",
	.store = &store_ops,
	.builder = &builder_ops,
	.supports = SUPPORTS(NEED_KINDS) - 1, /* dbt does what dbt's models need */
	.takes = ENGINE_DATABASE | ENGINE_PROJECT | ENGINE_PROFILES | ENGINE_TARGET | ENGINE_DBT |
		 ENGINE_CHUNK,
	.needs = ENGINE_PROJECT,
	.given_by = "project=DIR and dbt's profile",
	.jobs_default = 1, /* a dbt each, of 120 MB, and dbt itself builds side by side what it may */
	.asked_looks = true,
	.settles_done = true,
	.model_alone = true,
	.no_validation =
		"engine=dbt does not count the rows of batches: say `dbt test`, or touch .adopt to see which "
		"batches hold rows",
	.no_refresh = "engine=dbt does no full refresh: say `dbt run --full-refresh`, then touch .adopt",
	.run_us = 60 * INT64_C(1000000),
	.hint = hint,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/dbt/adopt.h"
#include "backend/dbt/build.h"
#include "backend/dbt/home.h"
#include "backend/dbt/look.h"
#include "backend/dbt/worker.h"
#include "backend/engine.h"
#include "backend/sqlite/queue/queue.h"

static int states_open(const struct engine_config *config, struct store **out, struct error *err)
{
	struct engine_config own = *config;
	auto_free char *file = NULL;
	int r = home_states(config, &file, err);
	own.database = file;
	return r == 0 ? queue_store.open(&own, out, err) : r;
}

/* The states in a file beside the project: of queue_store but for where that is. */
static const struct store_ops states = {
	.open = states_open,
	.close = queue_alone_close,
	.enlist = queue_alone_enlist,
	.load = queue_alone_load,
	.follow = queue_follow,
	.check = queue_alone_check,
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

static const struct guest_ops guest_ops = {
	.open = home_open,
	.close = home_close,
	.abandon = home_abandon,
	.worker_open = dbt_worker_open,
	.worker_close = dbt_worker_close,
	.interrupt = dbt_interrupt,
	.build = dbt_build,
	.statements = dbt_statements,
	.find = dbt_find,
	.adopt = dbt_adopt,
};

/* What dbt would do to the table, or would not do, and cannot be told not to. */
static void refuses(const struct model *m, struct error *why_not)
{
	if (m->full_refresh == TRI_TRUE)
		error_set(
			why_not, EOPNOTSUPP,
			"Its config has full_refresh: true, with which dbt drops the table at every run, of a "
			"batch, too; take it out");
	for (const struct need *n = m->needs; n; n = n->next)
		if (n->kind == NEED_OWN_STRATEGY && strcmp(n->text, "get_incremental_microbatch_sql") == 0)
			error_set(
				why_not, EOPNOTSUPP,
				"The macro %s in %s takes the place of dbt's own, and dbt runs such a model at "
				"once and not by batches",
				n->text, n->where);
}

const struct guest_builder guest_dbt = {
	.traits =
		{.name = "dbt",
		 .supports = SUPPORTS(NEED_KINDS) - 1, /* dbt does what dbt's models need */
		 .settles_done = true,
		 .model_alone = true,
		 .run_us = 60 * INT64_C(1000000),
		 .no_validation =
			 "engine=dbt does not count the rows of batches: say `dbt test`, or touch .adopt to "
			 "see which batches hold rows",
		 .refresh_anew = true},
	.ops = &guest_ops,
	.refuses = refuses,
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
	.store_name = "sqlite",
	.store = &states,
	.builder = &queue_records,
	.guest = &guest_dbt,
	.elsewhere = true,
	.takes = ENGINE_DATABASE | ENGINE_ADOPT | ENGINE_OF_GUEST,
	.needs = ENGINE_PROJECT,
	.given_by = "project=DIR and dbt's profile",
	.jobs_default = 1, /* a dbt each, of 120 MB, and dbt itself builds side by side what it may */
	.asked_looks = true,
	.stores_anew = true,
	.hint = hint,
};

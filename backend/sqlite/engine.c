/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/engine.h"
#include "backend/sqlite/warehouse.h"

static const struct store_ops store_ops = {
	.open = warehouse_open,
	.close = warehouse_close,
	.enlist = warehouse_enlist,
	.load = warehouse_load,
	.follow = warehouse_follow,
	.check = warehouse_check,
	.wake = queue_wake,
	.abandon = queue_abandon,
	.request = queue_request,
	.claim = queue_claim,
	.settle = queue_settle,
	.retire = queue_retire,
	.refresh = queue_refresh,
	.forget_answers = queue_forget_answers,
	.recode = queue_recode,
	.orphans = queue_orphans,
	.recall = queue_recall,
	.remember = queue_remember,
};

static const struct builder_ops builder_ops = {
	.worker_open = sqlite_worker_open,
	.worker_close = sqlite_worker_close,
	.prepare = sqlite_prepare,
	.look = sqlite_look,
	.clear = sqlite_clear,
	.build = sqlite_build,
	.interrupt = sqlite_interrupt,
	.history = sqlite_history,
	.prune = sqlite_prune,
	.validate = sqlite_validate,
	.keep_validations = sqlite_keep_validations,
	.statements = sqlite_statements,
};

static void hint(const struct engine_config *config, int err, struct strbuf *out)
{
	if (err == ENOENT)
		strbuf_puts(out,
			    "-o database=FILE is the file of the schema main in dbt's profile; `dbt run` or "
			    "`touch` makes it");
}

const struct engine engine_sqlite = {
	.name = "sqlite",
	.store = &store_ops,
	.builder = &builder_ops,
	.native = {.name = "sqlite", .supports = SQLITE_SUPPORTS},
	.takes = ENGINE_DATABASE,
	.needs = ENGINE_DATABASE,
	.given_by = "database=FILE",
	.max_jobs = 1, /* SQLite lets one connection write at a time */
	.hint = hint,
};

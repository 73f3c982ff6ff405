/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/engine.h"
#include "backend/sqlite/private.h"

static const struct store_ops store_ops = {
	.open = sqlite_open,
	.close = sqlite_close,
	.enlist = sqlite_enlist,
	.load = sqlite_load,
	.follow = sqlite_follow,
	.wake = sqlite_wake,
	.abandon = sqlite_abandon,
	.request = sqlite_request,
	.claim = sqlite_claim,
	.settle = sqlite_settle,
	.retire = sqlite_retire,
};

static const struct builder_ops builder_ops = {
	.worker_open = sqlite_worker_open,
	.worker_close = sqlite_worker_close,
	.prepare = sqlite_prepare,
	.adopt = sqlite_adopt,
	.build = sqlite_build,
	.interrupt = sqlite_interrupt,
	.history = sqlite_history,
	.prune = sqlite_prune,
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
	.takes = ENGINE_DATABASE,
	.needs = ENGINE_DATABASE,
	.given_by = "database=FILE",
	.max_jobs = 1, /* SQLite lets one connection write at a time */
	.hint = hint,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/engine.h"
#include "backend/postgres/atomic.h"
#include "backend/postgres/compiled.h"
#include "backend/postgres/offer.h"
#include "backend/postgres/record.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/refresh.h"
#include "backend/postgres/validations.h"

static void wake(struct store *s)
{
	uint64_t one = 1;
	ssize_t put = write(s->wake_fd, &one, sizeof one);
	(void)put; /* full means that it is readable */
}

/* Never read again but by close(): so every wait, now and later, ends at once. */
static void abandon(struct store *s)
{
	uint64_t one = 1;
	ssize_t put = write(s->abandon_fd, &one, sizeof one);
	(void)put;
}

static const struct store_ops store_ops = {
	.open = pg_open,
	.close = pg_close,
	.enlist = pg_enlist,
	.load = pg_load,
	.follow = pg_follow,
	.check = pg_check,
	.wake = wake,
	.abandon = abandon,
	.request = pg_request,
	.claim = pg_claim,
	.settle = pg_settle,
	.retire = pg_retire,
	.refresh = pg_refresh,
	.forget_answers = pg_forget_answers,
	.recode = pg_recode,
	.orphans = pg_orphans,
	.recall = pg_recall,
	.remember = pg_remember,
};

static const struct builder_ops builder_ops = {
	.worker_open = pg_worker_open,
	.worker_close = pg_worker_close,
	.prepare = pg_prepare,
	.look = pg_look,
	.record = pg_record,
	.clear = pg_clear,
	.beside = pg_beside,
	.build = pg_build,
	.interrupt = pg_interrupt,
	.history = pg_history,
	.prune = pg_prune,
	.validate = pg_validate,
	.keep_validations = pg_keep_validations,
	.statements = pg_statements,
};

static void hint(const struct engine_config *config, int err, struct strbuf *out)
{
	if (err != ECONNREFUSED && err != EHOSTUNREACH && err != ETIMEDOUT)
		return;
	if (config->service)
		strbuf_printf(out,
			      "service=%s stands in libpq's service file; `psql service=%s` tries the same",
			      config->service, config->service);
	else
		strbuf_puts(
			out,
			"-o service=NAME or the variables PGHOST, PGPORT, PGUSER and PGDATABASE say where "
			"PostgreSQL is; `psql` tries the same");
}

/* The states of batches that the guest builds in another warehouse. */
const struct engine engine_dbt_postgres = {
	.name = "dbt",
	.store_name = "postgres",
	.store = &store_ops,
	.builder = &builder_ops,
	.elsewhere = true,
	.takes = ENGINE_SERVICE | ENGINE_ROLE | ENGINE_OF_GUEST,
	.needs = ENGINE_PROJECT,
	.given_by = "project=DIR and dbt's profile, its states by service=NAME or the PG* variables",
	.jobs_default = 1,
	.asked_looks = true,
	.hint = hint,
};

const struct engine engine_postgres = {
	.name = "postgres",
	.store = &store_ops,
	.builder = &builder_ops,
	.native = {.name = "postgres", .supports = PG_SUPPORTS},
	.takes = ENGINE_SERVICE | ENGINE_ROLE | ENGINE_OF_GUEST,
	.given_by = "service=NAME or the PG* variables",
	.hint = hint,
};

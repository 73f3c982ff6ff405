/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attempts of a model that are too many. Nobody is waited for (what another mount is just forgetting,
 * too, is passed over) and nobody waits: these rows are only ever read.
 */
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

/* So many in one transaction: a table that has grown for years goes in steps. */
#define AT_ONCE 5000

static int prune_attempts(struct worker *w, int64_t id, size_t keep, int64_t before, struct error *err)
{
	struct pg_params params = {0};
	pg_param_int(&params, id);
	pg_param_int(&params, keep ? (int64_t)keep - 1 : 0);
	pg_param_time(&params, before);
	pg_param_int(&params, AT_ONCE);
	for (int gone = AT_ONCE; gone == AT_ONCE;) {
		auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
		store_begin(w->store, &p);
		size_t pruned = pg_add(&p, SQL_PRUNE_ATTEMPTS, &params);
		pg_add(&p, "commit", NULL);
		int r = store_run(w->store, &p, err);
		if (r)
			return r;
		gone = PQntuples(p.results[pruned]);
	}
	return 0;
}

int pg_prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err)
{
	auto_model struct pg_model *m = model_get(w->store, model);
	int64_t id = pg_id(m);
	if (!w->store->schema || !id)
		return 0;
	int r = pg_connect(&w->conn, pg_deadline(w->store), err);
	if (!r)
		r = prune_attempts(w, id, keep, before, err);
	if (r)
		return r;
	struct pg_params params = {0}, of_model = {0};
	pg_param_int(&params, id);
	pg_param_time(&params, before);
	pg_param_int(&of_model, id);
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	store_begin(w->store, &p);
	pg_add(&p, SQL_PRUNE_REQUESTS, &params);
	pg_add(&p, SQL_PRUNE_HOOKS, &of_model);
	pg_add(&p, "commit", NULL);
	return store_run(w->store, &p, err);
}

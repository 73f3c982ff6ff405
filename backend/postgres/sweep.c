/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of mounts that have died go back to the queue. */
#include <string.h>

#include "backend/base/count.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"
#include "backend/postgres/validations.h"

#define MESSAGE "interrupted 4 times: the program or its server ended while this batch was being built"

static int bring_back(struct store *s, const char *dead, const struct store_sink *sink, bool *found,
		      struct error *err)
{
	struct pg_params params = {0}, ids = {0};
	pg_param_text(&params, dead);
	pg_param_time(&params, clock_now_us(s->config->clock));
	pg_param_int(&params, s->session);
	pg_param_text(&params, MESSAGE);
	pg_param_text(&ids, dead);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	store_begin(s, &p);
	pg_add(&p, SQL_SWEEP_LOCK, &ids);
	size_t swept = pg_add(&p, SQL_SWEEP, &params);
	pg_add(&p, SQL_SWEEP_BURY, &ids);
	pg_add(&p, "commit", NULL);
	int r = store_run(s, &p, err);
	if (r)
		return r;
	int n = PQntuples(p.results[swept]);
	if (n > 0) {
		log_info(s->config->log, "back to the queue: %s of a mount that has died",
			 count_of((uint64_t)n, "batch", "batches").text);
		store_changed(s);
		*found = true;
	}
	report_states(s, p.results[swept], sink, true);
	return 0;
}

int sweep(struct store *s, const struct store_sink *sink, bool *found, struct error *err)
{
	auto_result *dead = NULL;
	struct pg_params params = {0};
	pg_param_int(&params, s->owner);
	int r = store_query(s, SQL_SWEEP_DEAD, &params, &dead, err);
	if (r)
		return r;
	auto_strbuf ids = STRBUF_INIT;
	for (int i = 0; i < PQntuples(dead); i++)
		pg_array_int(&ids, pg_int(dead, i, 0));
	pg_array_end(&ids);
	if (strbuf_broken(&ids))
		return error_set(err, ENOMEM, "no memory to look for the dead");
	if (PQntuples(dead) > 0)
		r = bring_back(s, ids.str, sink, found, err);
	if (!r)
		r = validations_take_over(s, sink, err);
	return r ? r : withdraw(s, sink, found, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of mounts that have died go back to the queue. */
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

/* The lock is free: nobody holds it shared (store.c). CASE, because AND has no order. */
#define DEAD                                                                                                 \
	"select o.id from batchfs.owner o where o.id <> $1::bigint and"                                      \
	" case when pg_catalog.pg_try_advisory_lock(o.id) then pg_catalog.pg_advisory_unlock(o.id) else "    \
	"false end"

/* Until the commit the owner cannot come back; a second mount that sweeps gets nothing. */
#define REALLY_DEAD                                                                                          \
	"with dead as materialized (select o.id from batchfs.owner o where o.id = any ($1::bigint[])"        \
	" and pg_catalog.pg_try_advisory_xact_lock(o.id)),"

/* What is locked belongs to a transaction that still runs without its owner: it may yet commit. */
#define SWEPT                                                                                                \
	" hit as materialized (select s.model, s.window_start from batchfs.state s"                          \
	" where s.run = 1 and s.owner in (select id from dead) order by 1, 2 for update skip locked),"       \
	" s as (update batchfs.state t set"                                                                  \
	" run = case when t.interruptions < 3 then 2 else 0 end,"                                            \
	" outcome = case when t.interruptions < 3 then t.outcome else 2 end,"                                \
	" started = case when t.interruptions < 3 then t.started else t.running_since end,"                  \
	" finished = case when t.interruptions < 3 then t.finished else $2::timestamptz end,"                \
	" sqlstate = case when t.interruptions < 3 then t.sqlstate else '' end,"                             \
	" message = case when t.interruptions < 3 then t.message else $4 end,"                               \
	" interruptions = case when t.interruptions < 3 then t.interruptions + 1 else 0 end"                 \
	" from hit where t.model = hit.model and t.window_start = hit.window_start returning t.*),"          \
	" told as (insert into batchfs.attempt"                                                              \
	" (model, window_start, attempt, origin, outcome, at, seconds, request, message)"                    \
	" select s.model, s.window_start, s.attempt, $3::bigint, 'interrupted', $2::timestamptz,"            \
	" greatest(extract(epoch from $2::timestamptz - s.running_since), 0), s.request,"                    \
	" case when s.run = 0 then $4 end from s)"

#define MESSAGE "interrupted 4 times: the program or its server ended while this batch was being built"

#define BURY                                                                                                 \
	"delete from batchfs.owner o where o.id = any ($1::bigint[])"                                        \
	" and pg_catalog.pg_try_advisory_xact_lock(o.id)"                                                    \
	" and not exists (select from batchfs.state s where s.run = 1 and s.owner = o.id)"

static int bring_back(struct store *s, const char *dead, const struct store_sink *sink, bool *found,
		      struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	strbuf_printf(&sql, REALLY_DEAD SWEPT " select %s from s", SQL_STATE_COLUMNS);
	if (strbuf_broken(&sql))
		return error_set(err, ENOMEM, "no memory to look for the dead");
	struct pg_params params = {0}, ids = {0};
	pg_param_text(&params, dead);
	pg_param_time(&params, clock_now_us(s->config->clock));
	pg_param_int(&params, s->session);
	pg_param_text(&params, MESSAGE);
	pg_param_text(&ids, dead);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_add_begin(&p);
	size_t swept = pg_add(&p, sql.str, &params);
	pg_add(&p, BURY, &ids);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (r)
		return r;
	int n = PQntuples(p.results[swept]);
	if (n > 0) {
		log_info(s->config->log, "%d batches of a mount that has died go back to the queue", n);
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
	int r = pg_query(&s->control, pg_deadline(s), DEAD, &params, &dead, err);
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
	return r ? r : withdraw(s, sink, found, err);
}

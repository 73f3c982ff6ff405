/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancels, after the fact. What a cancel covers is ended by who runs it and taken out of the queue by who
 * knows of it (schedule/cancel.c). But a batch may be put back when its owner dies, or in the moment of the
 * cancel; or end well, and have been asked for again before the cancel. Until it is withdrawn here, no mount
 * claims it (claim.c).
 */
#include "backend/postgres/pgstore.h"

/* Skipped where another mount is at it. */
#define CANCELS                                                                                              \
	"with c as materialized (select id, model, seq, first_start, end_start from batchfs.request"         \
	" where open and kind = 'cancel' order by id for update skip locked),"

#define COVERED                                                                                              \
	"s.model = c.model and s.window_start >= c.first_start and s.window_start < c.end_start and "        \
	"s.served < c.seq"

#define WITHDRAWN                                                                                            \
	" hit as materialized (select s.model, s.window_start, c.seq from c join batchfs.state s "           \
	"on " COVERED " where s.run = 2 or s.run = 0 and exists (select from batchfs.request r where r.open" \
	" and r.kind = 'build' and pg_catalog.tstzrange(r.first_start, r.end_start) @> s.window_start"       \
	" and r.model = s.model and r.seq > s.served and r.seq < c.seq)"                                     \
	" order by 1, 2 for update of s skip locked),"                                                       \
	" s as (update batchfs.state t set run = 0, interruptions = 0, served = h.seq"                       \
	" from (select model, window_start, max(seq) as seq from hit group by 1, 2) h"                       \
	" where t.model = h.model and t.window_start = h.window_start returning t.*),"                       \
	" told as (insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, request)" \
	" select model, window_start, attempt, $1::bigint, 'cancelled', $2::timestamptz, request from s),"

/* As long as something older than it runs or may be claimed, it is needed. */
#define CLOSED                                                                                               \
	" closed as (update batchfs.request t set open = false from c where t.id = c.id"                     \
	" and not exists (select from batchfs.state s where " COVERED " and s.run <> 0)"                     \
	" and not exists (select from batchfs.request r where r.open and r.kind = 'build'"                   \
	" and pg_catalog.tstzrange(r.first_start, r.end_start)"                                              \
	" && pg_catalog.tstzrange(c.first_start, c.end_start) and r.model = c.model and r.seq < c.seq))"

int withdraw(struct store *s, const struct store_sink *sink, bool *found, struct error *err)
{
	auto_strbuf sql = STRBUF_INIT;
	strbuf_printf(&sql, CANCELS WITHDRAWN CLOSED " select %s, true from s", state_columns);
	if (strbuf_broken(&sql))
		return error_set(err, ENOMEM, "no memory to look for what was cancelled");
	struct pg_params params = {0};
	pg_param_int(&params, s->session);
	pg_param_time(&params, clock_now_us(s->config->clock));
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_add_begin(&p);
	size_t withdrawn = pg_add(&p, sql.str, &params);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (r)
		return r;
	if (PQntuples(p.results[withdrawn]) > 0) {
		store_changed(s);
		*found = true;
	}
	report_states(s, p.results[withdrawn], sink, true);
	return 0;
}

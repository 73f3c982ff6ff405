/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancels, after the fact. What a cancel covers is ended by who runs it and taken out of the queue by who
 * knows of it (schedule/cancel.c). But a batch may be put back when its owner dies, or in the moment of the
 * cancel; or end well, and have been asked for again before the cancel. Until it is withdrawn here, no mount
 * claims it (claim.c).
 */
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

int withdraw(struct store *s, const struct store_sink *sink, bool *found, struct error *err)
{
	struct pg_params params = {0};
	pg_param_int(&params, s->session);
	pg_param_time(&params, clock_now_us(s->config->clock));
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	store_begin(s, &p);
	size_t withdrawn = pg_add(&p, SQL_WITHDRAW, &params);
	pg_add(&p, "commit", NULL);
	int r = store_run(s, &p, err);
	if (r)
		return r;
	if (PQntuples(p.results[withdrawn]) > 0) {
		store_changed(s);
		*found = true;
	}
	report_states(s, p.results[withdrawn], sink, true);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/connect.h"

#include "backend/postgres/home.h"
#include "backend/postgres/session.h"

int pg_connect(struct pg_conn *c, int64_t deadline, struct error *err)
{
	if (c->pq && PQstatus(c->pq) == CONNECTION_OK && (c->leads || home_still(c)))
		return 0;
	struct pg_address at = {0};
	if (!c->leads)
		home_address(c->home, &at);
	int r = pg_dial(c, &at, deadline, err);
	if (!r)
		r = session_set_up(c, deadline, err);
	if (!r)
		r = home_check(c, deadline, err);
	if (r) {
		pg_disconnect(c);
		/* Nothing that matters was sent yet. */
		return r == -ETIMEDOUT ? error_set(err, EHOSTUNREACH, "the warehouse does not answer") : r;
	}
	c->generation++;
	c->kept = 0;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/home.h"

#include <stdio.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/postgres/pipe.h"
#include "backend/postgres/sql.h"

void home_init(struct pg_home *h)
{
	*h = (struct pg_home){0};
	pthread_mutex_init(&h->lock, NULL);
}

void home_fini(struct pg_home *h)
{
	pthread_mutex_destroy(&h->lock);
}

void home_address(struct pg_home *h, struct pg_address *at)
{
	LOCKED(&h->lock);
	*at = h->at;
}

static void put(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

static void settle_down(struct pg_home *h, const struct pg_conn *c, const char *processes)
{
	LOCKED(&h->lock);
	if (h->known && (strcmp(h->server, c->server) != 0 || strcmp(h->processes, processes) != 0))
		h->lives++;
	h->known = true;
	put(h->at.host, sizeof h->at.host, PQhost(c->pq));
	put(h->at.ip, sizeof h->at.ip, PQhostaddr(c->pq));
	put(h->at.port, sizeof h->at.port, PQport(c->pq));
	put(h->server, sizeof h->server, c->server);
	put(h->processes, sizeof h->processes, processes);
}

static const char *told(const PGresult *r, int col)
{
	return PQresultStatus(r) == PGRES_TUPLES_OK ? pg_text(r, 0, col) : "";
}

int home_check(struct pg_conn *c, int64_t deadline, struct error *err)
{
	static const char *const questions[] = {SQL_HOME_SYSTEM, SQL_HOME_TIMELINE, SQL_HOME_START};
	auto_pipe p = PG_PIPE(c, deadline);
	p.tolerant = true;
	for (size_t i = 0; i < 3; i++) {
		pg_add(&p, questions[i], NULL);
		if (i < 2)
			pg_add_sync(&p);
	}
	int r = pg_run(&p, err);
	if (r)
		return r;
	snprintf(c->server, sizeof c->server, "system %s, timeline %s, started %s", told(p.results[0], 0),
		 told(p.results[1], 0), told(p.results[2], 0));
	if (c->leads) {
		settle_down(c->home, c, told(p.results[2], 1));
		return 0;
	}
	if (home_still(c))
		return 0;
	LOCKED(&c->home->lock);
	return error_set(
		err, ECONNREFUSED,
		"a connection has come to another server (%s, at %s port %s) than the control connection's "
		"(%s, at %s port %s), and was closed",
		c->server, PQhost(c->pq), PQport(c->pq), c->home->server, c->home->at.host, c->home->at.port);
}

bool home_still(const struct pg_conn *c)
{
	LOCKED(&c->home->lock);
	return !c->home->known || strcmp(c->server, c->home->server) == 0;
}

unsigned home_lives(struct pg_home *h)
{
	LOCKED(&h->lock);
	return h->lives;
}

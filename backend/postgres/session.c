/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/session.h"

#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/postgres/sql.h"

#define OLDEST_SERVER 130000

/* Through a pooler a session lock outlives its client and is granted twice (facts/postgres.md §8). */
static int check_pooler(const struct pg_conn *c, const PGresult *r, struct error *err)
{
	if (pg_int(r, 0, 0) != PQbackendPID(c->pq))
		return error_set(
			err, EOPNOTSUPP,
			"the connection goes through a pooler (such as pgbouncer), which hands out one session to "
			"several clients; name the server itself in the service or in PGHOST and PGPORT");
	if (PQserverVersion(c->pq) < OLDEST_SERVER)
		return error_set(err, EOPNOTSUPP, "the server is PostgreSQL %d, 13 or later is needed",
				 PQserverVersion(c->pq) / 10000);
	return 0;
}

/* Advisory locks and notices are each node's own: who is alive, and that there is news, only the coordinator
 * tells. */
static int check_citus(struct pg_conn *c, int64_t deadline, struct error *err)
{
	auto_result *group = NULL;
	int r = pg_query(c, deadline, SQL_SESSION_CITUS_GROUP, NULL, &group, err);
	if (r || pg_int(group, 0, 0) == 0)
		return r;
	return error_set(
		err, EOPNOTSUPP,
		"the server is a worker node of a Citus cluster (group %lld); name the coordinator in the "
		"service or in PGHOST and PGPORT: only there mounts see each other's locks and notices",
		(long long)pg_int(group, 0, 0));
}

static void put_role(const struct pg_conn *c, struct strbuf *sql)
{
	if (!c->config->role) {
		strbuf_puts(sql, "reset role");
		return;
	}
	char *role = PQescapeIdentifier(c->pq, c->config->role, strlen(c->config->role));
	if (role)
		strbuf_printf(sql, "set role %s", role);
	else
		sql->broken = true;
	PQfreemem(role);
}

static int set_role(struct pg_conn *c, int64_t deadline, struct error *err)
{
	if (!c->config->role)
		return 0;
	auto_strbuf sql = STRBUF_INIT;
	put_role(c, &sql);
	if (strbuf_broken(&sql))
		return error_set(err, EINVAL, "role=%s is no name for a role", c->config->role);
	auto_result *r = NULL;
	return pg_query(c, deadline, sql.str, NULL, &r, err);
}

int session_set_up(struct pg_conn *c, int64_t deadline, struct error *err)
{
	struct pg_params pid = {0};
	pg_param_int(&pid, PQbackendPID(c->pq));
	auto_pipe p = PG_PIPE(c, deadline);
	p.tolerant = true;
	size_t server = pg_add(&p, SQL_SESSION_SERVER, NULL);
	pg_add_sync(&p);
	pg_add(&p, SQL_SESSION_ALIVE, &pid);
	pg_add_sync(&p);
	size_t checks = pg_add(&p, SQL_SESSION_CHECKS_CLIENT, &pid);
	int r = pg_run(&p, err);
	if (r)
		return r;
	if (PQresultStatus(p.results[server]) != PGRES_TUPLES_OK)
		return pg_error(err, ECONNREFUSED, p.results[server]);
	c->checks_client = PQresultStatus(p.results[checks]) == PGRES_TUPLES_OK;
	r = check_pooler(c, p.results[server], err);
	if (!r && pg_bool(p.results[server], 0, 1))
		r = check_citus(c, deadline, err);
	return r ? r : set_role(c, deadline, err);
}

void session_add_models(struct pg_pipe *p)
{
	pg_add(p, SQL_SESSION_OF_MODELS, NULL);
}

void session_add_renewal(struct pg_pipe *p)
{
	static const char *const renewal[] = {"reset session authorization",
					      "reset all",
					      "close all",
					      "discard temp",
					      "discard sequences",
					      "unlisten *",
					      "select pg_catalog.pg_advisory_unlock_all()"};
	for (size_t i = 0; i < sizeof renewal / sizeof *renewal; i++)
		pg_add(p, renewal[i], NULL);
	struct pg_params pid = {0};
	pg_param_int(&pid, PQbackendPID(p->conn->pq));
	pg_add(p, SQL_SESSION_ALIVE, &pid);
	if (p->conn->checks_client)
		pg_add(p, SQL_SESSION_CHECKS_CLIENT, &pid);
	auto_strbuf role = STRBUF_INIT;
	put_role(p->conn, &role);
	p->broken |= strbuf_broken(&role);
	pg_add(p, role.str, NULL);
	session_add_models(p);
}

const char *session_other_zone(const struct pg_conn *c)
{
	static const char *const utc[] = {"UTC",       "Etc/UTC",	"UCT",	     "Etc/UCT",
					  "GMT",       "Etc/GMT",	"Zulu",	     "Etc/Zulu",
					  "Universal", "Etc/Universal", "Greenwich", "Etc/Greenwich"};
	const char *zone = c->pq ? PQparameterStatus(c->pq, "TimeZone") : NULL;
	for (size_t i = 0; zone && i < sizeof utc / sizeof *utc; i++)
		if (strcmp(zone, utc[i]) == 0)
			return NULL;
	return zone;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether anybody but batchfs has written to a target. The server counts rows that were written, committed or
 * not, and tells up to seconds later, an idle session's within ten (before 15 perhaps never); what batchfs
 * has committed stands in its history. What is not certain is looked at: a count that has gone back, a
 * difference that is only late, a table of which not every write is counted here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/look.h"
#include "backend/postgres/sql.h"

/* Before 15 a session that stays idle keeps its counts to itself. */
#define TELLS_IN_TIME 150000
/* So often a look is spared one after the other: a session that works without a pause tells nothing, and
 * what was left alone, because it was asked for or ran, may have been cancelled since. */
#define PASSED_MOST 9

struct pg_writes *pg_writes_of(struct worker *w, slot model)
{
	if (!w->writes)
		w->writes = calloc(SLOTS_MAX, sizeof *w->writes);
	return w->writes ? &w->writes[model] : NULL;
}

void pg_writes_free(struct worker *w)
{
	for (slot i = 0; w->writes && i < SLOTS_MAX; i++)
		free(w->writes[i].snapshot);
	free(w->writes);
}

static int count(struct worker *w, const struct pg_model *m, uint32_t oid, const struct pg_writes *last,
		 PGresult **counted, PGresult **own, struct error *err)
{
	struct pg_params target = {0}, since = {0};
	pg_param_int(&target, oid);
	pg_param_int(&since, pg_id(m));
	pg_param_text(&since, last->snapshot);
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	store_begin_snapshot(w->store, &p);
	size_t first = pg_add(&p, SQL_LOOK_WRITTEN, &target);
	size_t second = last->snapshot ? pg_add(&p, SQL_LOOK_OWN, &since) : first;
	pg_add(&p, "commit", NULL);
	int r = store_run(w->store, &p, err);
	if (r)
		return r;
	*counted = p.results[first];
	p.results[first] = NULL;
	if (second != first) {
		*own = p.results[second];
		p.results[second] = NULL;
	}
	return 0;
}

int pg_writes_read(struct worker *w, const struct pg_model *m, uint32_t oid, struct pg_writes *last,
		   struct pg_writes *now, bool *written, struct error *err)
{
	auto_result *counted = NULL, *own = NULL;
	int r = count(w, m, oid, last, &counted, &own, err);
	if (r)
		return r;
	char *snapshot = strdup(pg_text(counted, 0, 0));
	if (!snapshot)
		return error_set(err, ENOMEM, "no memory to look at %s", m->target);
	int64_t all = pg_int(counted, 0, 1);
	free(last->snapshot);
	last->snapshot = snapshot;
	last->own += own ? pg_int(own, 0, 0) : 0;
	*now = (struct pg_writes){.oid = oid, .by_others = all - last->own};
	snprintf(now->files, sizeof now->files, "%s", pg_text(counted, 0, 2));
	/* Nothing at all: it is not here that its writes are counted. */
	bool doubt = pg_bool(counted, 0, 3) || all == 0 || PQserverVersion(w->conn.pq) < TELLS_IN_TIME;
	*written = doubt || last->oid != oid || strcmp(last->files, now->files) != 0 ||
		   last->by_others != now->by_others || last->passed >= PASSED_MOST;
	last->passed = *written ? last->passed : last->passed + 1;
	return 0;
}

void pg_writes_seen(struct pg_writes *last, const struct pg_writes *now)
{
	last->oid = now->oid;
	last->by_others = now->by_others;
	last->passed = 0;
	memcpy(last->files, now->files, sizeof last->files);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/beside.h"

#include <stdio.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/strbuf.h"
#include "backend/postgres/conn.h"
#include "backend/postgres/sql.h"
#include "backend/postgres/value.h"

void beside_init(struct beside *b, int id, uint32_t target)
{
	b->target = target;
	snprintf(b->name, sizeof b->name, "batchfs_beside_%d", id);
	snprintf(b->prefix, sizeof b->prefix, "%s_", b->name);
}

void beside_params(const struct beside *b, struct pg_params *params)
{
	pg_param_int(params, b->target);
	pg_param_text(params, b->name);
	pg_param_text(params, b->prefix);
}

int beside_run(struct pg_conn *c, const char *query, const struct pg_params *params, int64_t until,
	       struct error *err)
{
	auto_result *list = NULL;
	auto_pipe settings = PG_PIPE(c, until), p = PG_PIPE(c, until);
	pg_add(&settings, SQL_BESIDE_SETTINGS, NULL);
	size_t listed = pg_add(&settings, query, params);
	int r = pg_run(&settings, err);
	if (r)
		return r;
	list = settings.results[listed];
	settings.results[listed] = NULL;
	for (int i = 0; i < PQntuples(list); i++) {
		if (pg_null(list, i, 0))
			return error_set(err, EOPNOTSUPP,
					 "an index, a trigger or a statistics object of the table has a name "
					 "that batchfs cannot find in its definition");
		pg_add(&p, pg_text(list, i, 0), NULL);
	}
	return p.n ? pg_run(&p, err) : 0;
}

int beside_make(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err)
{
	struct pg_params params = {0}, comment = {0};
	beside_params(b, &params);
	beside_params(b, &comment);
	int r = beside_run(c, SQL_BESIDE_TABLE, &params, until, err);
	return r ? r : beside_run(c, SQL_BESIDE_COMMENT, &comment, until, err);
}

int beside_complete(struct pg_conn *c, const struct beside *b, uint32_t oid, const char *name, int64_t until,
		    struct error *err)
{
	struct pg_params params = {0};
	pg_param_int(&params, oid);
	pg_param_text(&params, name);
	pg_param_text(&params, b->prefix);
	return beside_run(c, SQL_BESIDE_REST, &params, until, err);
}

int beside_shape(struct pg_conn *c, const struct beside *b, char shape[33], int64_t until, struct error *err)
{
	struct pg_params params = {0};
	beside_params(b, &params);
	auto_pipe p = PG_PIPE(c, until);
	pg_add(&p, SQL_BESIDE_SETTINGS, NULL);
	size_t asked = pg_add(&p, SQL_BESIDE_SHAPE, &params);
	int r = pg_run(&p, err);
	if (!r)
		snprintf(shape, 33, "%s", pg_text(p.results[asked], 0, 0));
	return r;
}

int beside_drop(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err)
{
	struct pg_params params = {0};
	pg_param_text(&params, b->name);
	return beside_run(c, SQL_BESIDE_DROPS, &params, until, err);
}

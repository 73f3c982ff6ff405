/* SPDX-License-Identifier: Apache-2.0 */
/* What .history shows. Increments are found as news are (follow.c): by transaction id and the last snapshot.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

static void tell_row(struct store *s, const PGresult *r, int row, ended_attempt_fn *tell, void *ctx)
{
	struct id_index m = store_slot(s, pg_int(r, row, 0));
	if (!m.id)
		return;
	struct ended_attempt a = {
		.model = m.index,
		.batch = calendar_ordinal(m.size, pg_time(r, row, 1)),
		.attempt = (uint32_t)pg_int(r, row, 2),
		.outcome = pg_text(r, row, 3),
		.at = pg_time(r, row, 4),
		.us = pg_null(r, row, 5) ? -1 : (int64_t)(strtod(pg_text(r, row, 5), NULL) * 1e6 + 0.5),
		.rows_deleted = pg_count(r, row, 6),
		.rows_inserted = pg_count(r, row, 7),
		.uid = pg_count(r, row, 8),
		.command = pg_text(r, row, 9),
		.reason = pg_text(r, row, 10),
		.sqlstate = pg_text(r, row, 11),
		.message = pg_text(r, row, 12),
		.cancelled_uid = pg_count(r, row, 14),
		.cancelled_command = pg_text(r, row, 15),
	};
	/* What was skipped or cancelled as a range is a line for each batch. */
	ordinal last = pg_null(r, row, 13) ? a.batch : calendar_ordinal(m.size, pg_time(r, row, 13));
	for (; a.batch <= last; a.batch++)
		tell(ctx, &a);
}

int pg_history(struct worker *w, slot model, size_t most, char **cursor, ended_attempt_fn *tell, void *ctx,
	       struct error *err)
{
	struct store *s = w->store;
	auto_strbuf ids = STRBUF_INIT;
	auto_model struct pg_model *m = model < 0 ? NULL : model_get(s, model);
	bool some = m ? pg_id(m) != 0 : ids_of_all(s, &ids);
	if (!s->schema || !some)
		return 0;
	int r = pg_connect(&w->conn, pg_deadline(s), err);
	if (r)
		return r;
	struct pg_params params = {0};
	if (model < 0) {
		pg_param_text(&params, ids.str);
	} else {
		pg_param_int(&params, pg_id(m));
	}
	const char *sql = model < 0 ? (*cursor ? SQL_HISTORY_OF_ALL_SINCE : SQL_HISTORY_OF_ALL)
				    : (*cursor ? SQL_HISTORY_OF_ONE_SINCE : SQL_HISTORY_OF_ONE);
	pg_param_int(&params, (int64_t)most);
	if (*cursor)
		pg_param_text(&params, *cursor);
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(s));
	p.broken = strbuf_broken(&ids);
	store_begin_snapshot(s, &p);
	size_t snapshot = pg_add(&p, SQL_SNAPSHOT, NULL);
	size_t found = pg_add(&p, sql, &params);
	pg_add(&p, "commit", NULL);
	r = store_run(s, &p, err);
	if (r)
		return r;
	char *next = strdup(pg_text(p.results[snapshot], 0, 0));
	if (!next)
		return error_set(err, ENOMEM, "no memory for a history");
	free(*cursor);
	*cursor = next;
	for (int row = 0; row < PQntuples(p.results[found]); row++)
		tell_row(s, p.results[found], row, tell, ctx);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is frozen: intervals of a model, changed under its row's lock (request.c), which a claim holds shared.
 * So a freeze sees every claim before it as running, and a claim every freeze before it; that a claim whose
 * statement began before a freeze was committed notices it, the row's count of changes sees to (claim.c).
 */
#include <string.h>

#include "backend/freeze.h"
#include "backend/kinds.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

void freeze_add(struct store *s, struct pg_pipe *p, const struct store_request *q, const char *uuid,
		const char *command)
{
	struct pg_params v = {0};
	request_params(s, q, uuid, command, &v);
	pg_param_time(&v, q->at);
	pg_param_int(&v, s->session);
	pg_param_text(&v, request_traits(q->kind)->word);
	pg_param_int(&v, s->owner);
	pg_add(p, SQL_FREEZE_CHANGE, &v);
}

void freeze_answer(const struct store *s, struct store_request *q, const PGresult *r)
{
	const struct model *m = s->models[q->model]->model;
	if (PQntuples(r) != 1)
		q->result = error_set(&q->err, EIO, "%s is gone from the schema batchfs", m->dir);
	else if (pg_null(r, 0, 0))
		q->result = freeze_busy(&q->err, m, calendar_ordinal(m->batch_size, pg_time(r, 0, 2)));
	else {
		q->id = pg_int(r, 0, 0);
		q->seq = pg_int(r, 0, 1);
		q->result = 0;
	}
}

static bool freeze_read(enum batch_size size, const PGresult *r, int row, struct store_freeze *out)
{
	if (pg_null(r, row, 5))
		return false;
	*out = (struct store_freeze){
		.uid = (uint32_t)pg_int(r, row, 3), .command = pg_text(r, row, 4), .at = pg_time(r, row, 5)};
	if (!pg_null(r, row, 1))
		out->batches = calendar_touched(size, pg_time(r, row, 1), pg_time(r, row, 2));
	return true;
}

int report_freezes(struct store *s, const PGresult *r, const struct store_sink *sink, struct error *err)
{
	int rows = PQntuples(r);
	auto_free struct store_freeze *list = calloc((size_t)rows + 1, sizeof *list);
	if (!list)
		return error_set(err, ENOMEM, "no memory for %d freezes", rows);
	for (int row = 0, next; row < rows; row = next) {
		int64_t id = pg_int(r, row, 0);
		struct id_index m = store_slot(s, id);
		size_t n = 0;
		for (next = row; next < rows && pg_int(r, next, 0) == id; next++)
			n += m.id && freeze_read(m.size, r, next, &list[n]);
		if (m.id)
			sink->freezes(sink->ctx, m.index, list, n);
	}
	return 0;
}

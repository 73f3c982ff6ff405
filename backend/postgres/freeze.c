/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is frozen: intervals of a model, changed under its row's lock (request.c), which a claim holds shared.
 * So a freeze sees every claim before it as running, and a claim every freeze before it; that a claim whose
 * statement began before a freeze was committed notices it, the row's count of changes sees to (claim.c).
 */
#include <string.h>

#include "backend/freeze.h"
#include "backend/postgres/pgstore.h"

/*
 * $9 is the kind. What is frozen already keeps who did it: only the gaps are new. A thaw cuts what it meets.
 * A row without a range protects the model as a whole.
 */
#define CHANGE                                                                                               \
	"with old as (select r.id, r.seq from batchfs.request r where r.uuid = $1::uuid),"                   \
	" busy as (select min(s.window_start) as w from batchfs.state s where $9 = 'freeze'"                 \
	" and s.model = $2::int and s.run = 1 and s.window_start >= $3::timestamptz"                         \
	" and s.window_start < $4::timestamptz and not exists (select from old)),"                           \
	" bumped as (update batchfs.model m set seq = m.seq + 1, freezes = m.freezes + 1 from busy"          \
	" where m.id = $2::int and busy.w is null and not exists (select from old) returning m.seq),"        \
	" edges as (select f.first_start as lo, f.end_start as hi from batchfs.freeze f where f.model = "    \
	"$2::int"                                                                                            \
	" and f.first_start < $4::timestamptz and f.end_start > $3::timestamptz"                             \
	" union all select $4::timestamptz, $4::timestamptz),"                                               \
	" gaps as (select greatest(lag(hi, 1, $3::timestamptz) over (order by lo), $3::timestamptz) as lo,"  \
	" lo as hi from edges),"                                                                             \
	" gone as (delete from batchfs.freeze f using bumped where f.model = $2::int and case $9"            \
	" when 'thaw' then f.first_start < $4::timestamptz and f.end_start > $3::timestamptz"                \
	" when 'unprotect' then f.first_start is null else false end returning f.*),"                        \
	" added as (insert into batchfs.freeze (model, first_start, end_start, uid, command, at)"            \
	" select model, first_start, $3::timestamptz, uid, command, at from gone where first_start < "       \
	"$3::timestamptz"                                                                                    \
	" union all select model, $4::timestamptz, end_start, uid, command, at from gone"                    \
	" where end_start > $4::timestamptz"                                                                 \
	" union all select $2::int, lo, hi, $5::bigint, $6, $7::timestamptz from gaps, bumped"               \
	" where $9 = 'freeze' and lo < hi"                                                                   \
	" union all select $2::int, null, null, $5::bigint, $6, $7::timestamptz from bumped"                 \
	" where $9 = 'protect' and not exists"                                                               \
	" (select from batchfs.freeze f where f.model = $2::int and f.first_start is null)),"                \
	" new as (insert into batchfs.request (uuid, model, seq, kind, first_start, end_start, uid, "        \
	"command,"                                                                                           \
	" code, at, open, origin) select $1::uuid, $2::int, seq, $9, $3::timestamptz, $4::timestamptz,"      \
	" $5::bigint, $6, '', $7::timestamptz, false, $8::bigint from bumped returning id, seq)"             \
	" select id, seq, null::timestamptz from old union all select id, seq, null from new"                \
	" union all select null, null, w from busy where w is not null"

static const char *kind_word(enum request_kind kind)
{
	switch (kind) {
	case REQUEST_FREEZE:
		return "freeze";
	case REQUEST_THAW:
		return "thaw";
	case REQUEST_PROTECT:
		return "protect";
	default:
		return "unprotect";
	}
}

void freeze_add(struct store *s, struct pg_pipe *p, const struct store_request *q, const char *uuid,
		const char *command)
{
	const struct pg_model *m = &s->models[q->model];
	enum batch_size size = m->model->batch_size;
	struct pg_params v = {0};
	pg_param_text(&v, uuid);
	pg_param_int(&v, m->id);
	pg_param_time(&v, calendar_start(size, q->batches.first));
	pg_param_time(&v, calendar_start(size, q->batches.end));
	pg_param_int(&v, q->uid);
	pg_param_text(&v, command);
	pg_param_time(&v, q->at);
	pg_param_int(&v, s->session);
	pg_param_text(&v, kind_word(q->kind));
	pg_add(p, CHANGE, &v);
}

void freeze_answer(const struct store *s, struct store_request *q, const PGresult *r)
{
	const struct model *m = s->models[q->model].model;
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

/* Of `batchfs.freeze f` and m, the ids asked for: a model of which nothing is frozen has a row of nulls. */
const char *const freeze_columns = " m.id, f.first_start, f.end_start, f.uid, f.command, f.at ";

static bool freeze_read(const struct pg_model *m, const PGresult *r, int row, struct store_freeze *out)
{
	enum batch_size size = m->model->batch_size;
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
		const struct pg_model *m = store_model(s, (int)id);
		size_t n = 0;
		for (next = row; next < rows && pg_int(r, next, 0) == id; next++)
			n += m && freeze_read(m, r, next, &list[n]);
		if (m)
			sink->freezes(sink->ctx, m->index, list, n);
	}
	return 0;
}

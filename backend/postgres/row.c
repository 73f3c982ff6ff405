/* SPDX-License-Identifier: Apache-2.0 */
/* State and request rows as load and follow read them (row.sql). */
#include <string.h>

#include "backend/kinds.h"
#include "backend/postgres/pgstore.h"

bool state_read(struct store *s, const PGresult *r, int row, struct store_state *out, int64_t *owner)
{
	struct id_index m = store_slot(s, pg_int(r, row, 0));
	if (!m.id)
		return false;
	*out = (struct store_state){
		.model = m.index,
		.batch = calendar_ordinal(m.size, pg_time(r, row, 1)),
		.run = (enum row_run)pg_int(r, row, 2),
		.outcome = (enum row_outcome)pg_int(r, row, 3),
		.attempt = (uint32_t)pg_int(r, row, 4),
		.started = pg_time(r, row, 5),
		.finished = pg_time(r, row, 6),
		.built = pg_time(r, row, 7),
		.rows_deleted = pg_count(r, row, 8),
		.rows_inserted = pg_count(r, row, 9),
		.rows_outside = pg_count(r, row, 10),
		.adopted = pg_bool(r, row, 11),
		.code = pg_text(r, row, 12),
		.request = pg_int(r, row, 13),
		.served = pg_int(r, row, 14),
		.sqlstate = pg_text(r, row, 15),
		.message = pg_text(r, row, 16),
	};
	*owner = pg_int(r, row, 17);
	out->cancelled = PQnfields(r) > 18 && pg_bool(r, row, 18);
	return true;
}

static bool request_read(struct store *s, const PGresult *r, int row, struct store_request_row *out)
{
	struct id_index m = store_slot(s, pg_int(r, row, 2));
	enum request_kind kind;
	if (!m.id || !request_kind_parse(pg_text(r, row, 11), &kind) || !request_traits(kind)->recorded)
		return false;
	enum batch_size size = m.size;
	*out = (struct store_request_row){
		.kind = kind,
		.id = pg_int(r, row, 0),
		.seq = pg_int(r, row, 1),
		.model = m.index,
		.batches = {calendar_ordinal(size, pg_time(r, row, 3)),
			    calendar_ceil(size, pg_time(r, row, 4))},
		.uid = (uint32_t)pg_int(r, row, 5),
		.command = pg_text(r, row, 6),
		.reason = pg_null(r, row, 7) ? NULL : pg_text(r, row, 7),
		.code = pg_text(r, row, 8),
		.at = pg_time(r, row, 9),
		.open = pg_bool(r, row, 10),
	};
	return true;
}

void report_requests(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	for (int row = 0; row < PQntuples(r); row++) {
		struct store_request_row request;
		if (request_read(s, r, row, &request))
			sink->request(sink->ctx, &request);
	}
}

void report_known(struct store *s, const PGresult *r, int model, int seq, int id,
		  const struct store_sink *sink)
{
	for (int row = 0; sink->known && row < PQntuples(r); row++) {
		struct id_index m = store_slot(s, pg_int(r, row, model));
		if (m.id)
			sink->known(
				sink->ctx, m.index,
				(struct store_known){.seq = pg_int(r, row, seq), .id = pg_int(r, row, id)});
	}
}

/* skip_own: what our workers run is reported by them, and may have ended since this was read. */
void report_states(struct store *s, const PGresult *r, const struct store_sink *sink, bool skip_own)
{
	for (int row = 0; row < PQntuples(r); row++) {
		struct store_state state;
		int64_t owner;
		if (!state_read(s, r, row, &state, &owner))
			continue;
		if (skip_own && state.run == ROW_RUNNING && owner == s->owner)
			continue;
		sink->state(sink->ctx, &state);
	}
}

void report_answers(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	for (int row = 0; row < PQntuples(r); row++) {
		struct id_index m = store_slot(s, pg_int(r, row, 1));
		if (!m.id)
			continue;
		enum batch_size size = m.size;
		struct store_answer a = {
			.id = pg_int(r, row, 0),
			.model = m.index,
			.outcome = (enum row_outcome)pg_int(r, row, 9),
			.batches = {calendar_ordinal(size, pg_time(r, row, 3)),
				    calendar_ceil(size, pg_time(r, row, 4))},
			.served = pg_int(r, row, 5),
			.request = pg_int(r, row, 6),
			.at = pg_time(r, row, 7),
			.message = pg_text(r, row, 8),
		};
		sink->answer(sink->ctx, &a);
	}
}

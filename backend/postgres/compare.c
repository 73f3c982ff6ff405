/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target that is looked at again: the windows that differ from what is recorded. Finding them takes as long
 * as reading the table and holds nothing; they are recorded in transactions of a moment each.
 */
#include <string.h>

#include "backend/postgres/look.h"
#include "backend/postgres/sql.h"

#define AT_ONCE 500

/* Of a row of the comparison. */
enum { DIFFERS_START, DIFFERS_HOLDS, DIFFERS_ATTEMPT, DIFFERS_FINISHED };

/* Those of one kind, from `row` on. */
static void add_some(struct pg_columns *c, const PGresult *differ, int row, int end, bool holds)
{
	pg_columns_init(c, 3);
	for (; row < end; row++) {
		if (pg_bool(differ, row, DIFFERS_HOLDS) != holds)
			continue;
		pg_array_time(&c->column[0], pg_int(differ, row, DIFFERS_START));
		pg_array_int(&c->column[1], pg_int(differ, row, DIFFERS_ATTEMPT));
		if (pg_null(differ, row, DIFFERS_FINISHED))
			pg_array_text(&c->column[2], NULL);
		else
			pg_array_time(&c->column[2], pg_int(differ, row, DIFFERS_FINISHED));
	}
	pg_columns_end(c);
}

/* To this mount, too: whether a commit whose answer is lost has happened, it hears by that. */
static int tell(struct worker *w, struct pg_pipe *p, const struct pg_model *m, const char *outcome,
		const PGresult *states, int64_t now, struct error *err)
{
	int n = PQntuples(states);
	auto_free struct found_batch *found = calloc((size_t)n + 1, sizeof *found);
	if (!found)
		return error_set(err, ENOMEM, "no memory for the batches of %s", m->target);
	for (int row = 0; row < n; row++) {
		struct store_state s;
		int64_t owner;
		if (state_read(w->store, states, row, &s, &owner))
			found[row] = (struct found_batch){s.batch, s.attempt};
	}
	pg_told_add(p, m, 0, outcome, now, found, (size_t)n);
	return 0;
}

/* What was changed comes with what it is now. */
static int change(struct worker *w, const struct pg_model *m, const PGresult *differ, int row, int end,
		  PGresult **adopted, PGresult **gone, struct error *err)
{
	int64_t now = clock_now_us(w->store->config->clock);
	auto_columns holding, empty;
	struct pg_params adopt = {0}, lose = {0};
	auto_pipe p = PG_PIPE(&w->conn, pg_deadline(w->store));
	auto_pipe end_of_it = PG_PIPE(&w->conn, pg_deadline(w->store));
	add_some(&holding, differ, row, end, true);
	add_some(&empty, differ, row, end, false);
	p.broken = pg_columns_broken(&holding) || pg_columns_broken(&empty);
	pg_param_int(&adopt, pg_id(m));
	pg_param_columns(&adopt, &holding, 0, 3);
	pg_param_time(&adopt, now);
	pg_param_int(&lose, pg_id(m));
	pg_param_columns(&lose, &empty, 0, 3);
	store_begin(w->store, &p);
	size_t first = pg_add(&p, SQL_LOOK_ADOPT, &adopt);
	size_t second = pg_add(&p, SQL_LOOK_GONE, &lose);
	int r = store_run(w->store, &p, err);
	if (r)
		return r;
	r = tell(w, &end_of_it, m, "adopted", p.results[first], now, err);
	if (!r)
		r = tell(w, &end_of_it, m, "gone", p.results[second], now, err);
	pg_add(&end_of_it, r ? "rollback" : "commit", NULL);
	int ended = pg_run(&end_of_it, r ? NULL : err);
	if (r || ended)
		return r ? r : ended;
	*adopted = p.results[first];
	*gone = p.results[second];
	p.results[first] = p.results[second] = NULL;
	return 0;
}

/* What has been claimed here since is told of by who runs it. */
static void report(struct store *s, const PGresult *states, const struct store_sink *sink)
{
	for (int row = 0; row < PQntuples(states); row++) {
		struct store_state state;
		int64_t owner;
		if (state_read(s, states, row, &state, &owner) &&
		    !(sink->runs && sink->runs(sink->ctx, state.model, state.batch, 0)))
			sink->state(sink->ctx, &state);
	}
}

static int record(struct worker *w, const struct pg_model *m, const PGresult *differ,
		  const struct store_sink *sink, struct error *err)
{
	int n = PQntuples(differ);
	for (int row = 0; row < n; row += AT_ONCE) {
		auto_result *adopted = NULL, *gone = NULL;
		int end = n - row > AT_ONCE ? row + AT_ONCE : n;
		LOCKED(&w->store->telling);
		int r = change(w, m, differ, row, end, &adopted, &gone, err);
		if (r)
			return r;
		if (PQntuples(adopted) || PQntuples(gone))
			store_changed(w->store);
		report(w->store, adopted, sink);
		report(w->store, gone, sink);
	}
	return 0;
}

/* FNV-1a. */
uint64_t pg_print(const PGresult *r)
{
	uint64_t print = UINT64_C(0xcbf29ce484222325);
	for (int row = 0; row < PQntuples(r); row++)
		for (int column = 0; column < PQnfields(r); column++)
			for (const char *c = pg_text(r, row, column); *c; c++)
				print = (print ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	return PQntuples(r) ? print : 0;
}

/*
 * -o ro: what is recorded, and over that what differs. Nothing remembers what was told before but this mount:
 * where the differences are others than the last time, all is told anew.
 */
static int report_only(struct worker *w, struct pg_model *m, const PGresult *differ, uint64_t *told,
		       const struct store_sink *sink, struct error *err)
{
	uint64_t print = pg_print(differ);
	int64_t now = clock_now_us(w->store->config->clock);
	if (print == *told)
		return 0;
	int r = pg_report_recorded(w, m, sink, err);
	if (r)
		return r;
	*told = print;
	for (int row = 0; row < PQntuples(differ); row++) {
		int64_t start = pg_int(differ, row, DIFFERS_START);
		struct store_state state =
			adopted_state(m->index, calendar_ordinal(m->model->batch_size, start), now);
		if (!pg_bool(differ, row, DIFFERS_HOLDS)) {
			state.outcome = OUTCOME_NONE;
			state.adopted = false;
			state.started = state.finished = state.built = 0;
		}
		state.attempt = (uint32_t)pg_int(differ, row, DIFFERS_ATTEMPT);
		sink->state(sink->ctx, &state);
	}
	return 0;
}

int pg_record_differences(struct worker *w, struct pg_model *m, const PGresult *differ, uint64_t *told,
			  const struct store_sink *sink, struct error *err)
{
	return w->store->config->read_only ? report_only(w, m, differ, told, sink, err)
					   : record(w, m, differ, sink, err);
}

int pg_compare(struct worker *w, struct pg_model *m, const struct pg_shape *shape, uint64_t *told,
	       const struct store_sink *sink, struct error *err)
{
	struct pg_params params = {0};
	struct windows_query q = {.model = m,
				  .shape = shape,
				  .batches = pg_windows_of(w->store, m),
				  .before = SQL_COMPARE_BEGIN " ",
				  .after = " " SQL_COMPARE_END,
				  .params = &params};
	enum batch_size size = m->model->batch_size;
	pg_param_int(&params, pg_id(m));
	pg_param_time(&params, calendar_start(size, q.batches.first));
	pg_param_time(&params, calendar_start(size, q.batches.end));
	auto_result *differ = NULL;
	int r = pg_windows_find(w, &q, &differ, err);
	return r ? r : pg_record_differences(w, m, differ, told, sink, err);
}

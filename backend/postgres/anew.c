/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is recorded is not what it was: the server has begun another life from an older state (a crash that
 * took commits which were not flushed, a standby that was behind), or the schema batchfs is another one
 * (guard.c). All is read anew. Rows that say that we run them while nobody here does are those whose end was
 * lost: they go back.
 */
#include "backend/postgres/schema.h"
#include "backend/postgres/sql.h"

/* A row that says that this mount runs it. */
struct pg_own {
	slot model;
	ordinal batch;
	uint32_t attempt;
};

int schema_again(struct store *s, struct error *err)
{
	struct pg_doubt *d;
	/* The claims in doubt were made in the former schema. */
	while ((d = s->doubts)) {
		s->doubts = d->next;
		free(d);
	}
	s->n_own = 0;
	s->ready = 0;
	int r = schema_open(s, err);
	if (!r)
		r = enlist_again(s, err);
	if (r)
		return r;
	log_warning(s->config->log,
		    "the schema batchfs is another one than before: all states are read anew");
	s->strange = false;
	s->anew = true;
	return 0;
}

static void own_note(struct store *s, const struct store_state *state)
{
	if (s->n_own == s->own_size) {
		size_t size = s->own_size ? 2 * s->own_size : 64;
		struct pg_own *own = realloc(s->own, size * sizeof *own);
		if (!own) {
			log_error(s->config->log,
				  "no memory for what runs here: it is found interrupted later");
			return;
		}
		s->own = own;
		s->own_size = size;
	}
	s->own[s->n_own++] = (struct pg_own){state->model, state->batch, state->attempt};
}

static void put_back(struct store *s, struct pg_pipe *p, const struct pg_own *own)
{
	const struct pg_model *m = s->models[own->model];
	struct pg_params params = {0};
	pg_param_time(&params, clock_now_us(s->config->clock));
	pg_param_int(&params, s->owner);
	pg_param_int(&params, pg_id(m));
	pg_param_time(&params, calendar_start(m->model->batch_size, own->batch));
	pg_param_int(&params, own->attempt);
	pg_add(p, SQL_PUT_BACK_LOST, &params);
}

/* Those that run here come first; returns how many. */
static size_t sort_own(struct store *s, const struct store_sink *sink)
{
	size_t running = 0;
	for (size_t i = 0; i < s->n_own; i++) {
		struct pg_own own = s->own[i];
		if (!sink->runs(sink->ctx, own.model, own.batch, own.attempt))
			continue;
		s->own[i] = s->own[running];
		s->own[running++] = own;
	}
	return running;
}

int own_check(struct store *s, const struct store_sink *sink, struct error *err)
{
	size_t running = sort_own(s, sink);
	if (running == s->n_own)
		return 0;
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	store_begin(s, &p);
	size_t first = p.n;
	for (size_t i = running; i < s->n_own; i++)
		put_back(s, &p, &s->own[i]);
	size_t end = pg_add(&p, "commit", NULL);
	int r = store_run(s, &p, err);
	for (size_t i = first; i < end && !r; i++)
		report_states(s, p.results[i], sink, false);
	if (r)
		return r;
	s->n_own = running;
	store_changed(s);
	return 0;
}

static void report_anew(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	for (int row = 0; row < PQntuples(r); row++) {
		struct store_state state;
		int64_t owner;
		if (!state_read(s, r, row, &state, &owner))
			continue;
		if (state.run == ROW_RUNNING && owner == s->owner)
			own_note(s, &state);
		else
			sink->state(sink->ctx, &state);
	}
}

static void report_targets(struct store *s, const struct store_sink *sink)
{
	auto_free struct store_target *met = steal(&s->met);
	for (size_t i = 0; met && i < s->n; i++)
		if (s->models[i]->enlisted)
			sink->target(sink->ctx, (slot)i, &met[i]);
}

int states_anew(struct store *s, const struct store_sink *sink, struct error *err)
{
	report_targets(s, sink);
	s->n_own = 0;
	sink->restart(sink->ctx);
	int r = load_all(s, sink, report_anew, err);
	if (!r)
		r = own_check(s, sink, err);
	if (r)
		return r;
	sink->restarted(sink->ctx);
	s->anew = false;
	s->read_at = clock_now_us(s->config->clock);
	return 0;
}

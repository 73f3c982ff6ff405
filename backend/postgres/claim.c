/* SPDX-License-Identifier: Apache-2.0 */
/* Claims: nobody is waited for. What another holds is not granted this time. */
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

/* Rises with every claim, so that it names the one whose commit was lost. */
static int64_t unique_start(struct store *s, int64_t started)
{
	if (started <= s->last_started)
		started = s->last_started + 1;
	return s->last_started = started;
}

static int add_claim(struct store *s, struct pg_pipe *p, const struct store_claim *c, const char *uuid,
		     int64_t started, struct error *err)
{
	const struct pg_model *m = s->models[c->model];
	auto_columns columns; /* models, windows, attempts */
	pg_columns_init(&columns, 3);
	for (uint32_t i = 0; i < c->count; i++) {
		pg_array_int(&columns.column[0], m->id);
		pg_array_time(&columns.column[1], calendar_start(m->model->batch_size, c->first + i));
		pg_array_int(&columns.column[2], 0);
	}
	pg_columns_end(&columns);
	if (pg_columns_broken(&columns))
		return error_set(err, ENOMEM, "no memory for a claim");
	const char *windows = columns.column[1].str;
	struct pg_params rows = {0}, grant = {0}, skipped = {0};
	pg_param_columns(&skipped, &columns, 0, 3);
	pg_param_int(&rows, m->id);
	pg_param_text(&rows, windows);
	pg_param_int(&grant, m->id);
	pg_param_text(&grant, windows);
	if (uuid)
		pg_param_text(&grant, NULL);
	else
		pg_param_int(&grant, c->wanted);
	pg_param_int(&grant, s->owner);
	if (uuid)
		pg_param_text(&grant, NULL);
	else
		pg_param_int(&grant, c->request);
	pg_param_time(&grant, started);
	pg_param_int(&grant, s->session);
	pg_param_text(&grant, m->model->code);
	pg_param_text(&grant, uuid);
	if (c->skipped)
		pg_add(p, SQL_ANSWER_UNFOLD, &skipped);
	planned_add(s, p, PLANNED_MAKE_ROWS, &rows);
	planned_add(s, p, PLANNED_CLAIM, &grant);
	return 0;
}

static void take_grant(const struct pg_model *m, struct store_claim *c, const PGresult *r)
{
	for (int row = 0; row < PQntuples(r); row++) {
		ordinal batch = calendar_ordinal(m->model->batch_size, pg_time(r, row, 0));
		if (batch >= c->first && batch - c->first < c->count)
			c->attempt[batch - c->first] = (uint32_t)pg_int(r, row, 1);
		c->served = pg_int(r, row, 2);
	}
}

/* Made before anything is sent: when the fate is unknown there must be memory to remember that. */
static struct pg_doubt *doubt_new(const struct store *s, const struct store_claim *c, int64_t started)
{
	struct pg_doubt *d = malloc(sizeof *d);
	if (d)
		*d = (struct pg_doubt){.id = s->models[c->model]->id, .started = started};
	return d;
}

void claim_doubts(struct store *s, struct pg_doubt *list, bool lost)
{
	while (list) {
		struct pg_doubt *d = list;
		list = d->next;
		if (!lost) {
			free(d);
			continue;
		}
		d->next = s->doubts;
		s->doubts = d;
	}
}

static void nothing_granted(struct store_claim *c)
{
	memset(c->attempt, 0, sizeof c->attempt);
	c->served = 0;
}

int claim_add(struct store *s, struct pg_pipe *p, struct store_claim *c, const char *uuid,
	      struct pg_doubt **doubts, size_t *at, struct error *err)
{
	nothing_granted(c);
	int64_t started = unique_start(s, c->started);
	struct pg_doubt *d = doubt_new(s, c, started);
	if (!d)
		return error_set(err, ENOMEM, "no memory for a claim");
	d->next = *doubts;
	*doubts = d;
	s->claimed = true;
	int r = add_claim(s, p, c, uuid, started, err);
	*at = p->n - 1;
	return r;
}

void claim_take(const struct store *s, const struct pg_pipe *p, size_t at, struct store_claim *c)
{
	if (PQresultStatus(p->results[at]) == PGRES_TUPLES_OK)
		take_grant(s->models[c->model], c, p->results[at]);
}

static int send_claims(struct store *s, struct pg_pipe *p, struct store_claim *claims, size_t n,
		       struct pg_doubt **doubts, struct error *err)
{
	store_begin_claim(s, p);
	for (size_t i = 0; i < n; i++) {
		size_t at;
		int r = claim_add(s, p, &claims[i], NULL, doubts, &at, err);
		if (r)
			return r;
	}
	pg_add(p, "commit", NULL);
	return store_run(s, p, err);
}

int pg_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err)
{
	if (s->config->read_only || !s->schema)
		return error_set(err, EROFS, "this mount writes nothing to the warehouse");
	for (size_t i = 0; i < n; i++)
		nothing_granted(&claims[i]);
	int r = store_connect(s, false, err);
	if (r)
		return r;
	/* By states that may be void: they are read first. */
	if (s->anew)
		return 0;
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	struct pg_doubt *doubts = NULL;
	struct error why = {0};
	r = send_claims(s, &p, claims, n, &doubts, &why);
	if (r && !p.lost && p.syncs == 0)
		pg_disconnect(&s->control); /* half of it is queued */
	claim_doubts(s, doubts, r && p.lost);
	if (r && !p.lost && passing_state(why.sqlstate))
		return 0; /* another mount was at it just now: nothing is granted this time */
	if (r) {
		if (err)
			*err = why;
		return r;
	}
	size_t at = 2;
	for (size_t i = 0; i < n; i++, at += 2) {
		at += claims[i].skipped;
		claim_take(s, &p, at + 1, &claims[i]);
	}
	store_changed(s);
	return 0;
}

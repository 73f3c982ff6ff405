/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another warehouse under our feet: where the schema batchfs was dropped and made anew, or brought up to date
 * by a newer program, the ids that we know address other models. So every transaction of the store begins by
 * making sure of the identity, with its settings, at no round trip more.
 */
#include <string.h>

#include "backend/postgres/pgstore.h"

/* After BEGIN. */
#define GUARD 1

static void add_guard(struct store *s, struct pg_pipe *p, enum planned settings)
{
	char identity[sizeof s->identity];
	struct pg_params params = {0};
	{
		LOCKED(&s->lock);
		memcpy(identity, s->identity, sizeof identity);
		pg_param_text(&params, identity);
		pg_param_int(&params, s->version);
	}
	planned_add(s, p, settings, &params);
}

void store_begin(struct store *s, struct pg_pipe *p)
{
	pg_add(p, "begin isolation level read committed read write", NULL);
	add_guard(s, p, PLANNED_SETTINGS);
}

void store_begin_claim(struct store *s, struct pg_pipe *p)
{
	pg_add(p, "begin isolation level read committed read write", NULL);
	add_guard(s, p, PLANNED_SETTINGS_OF_CLAIM);
}

void store_begin_snapshot(struct store *s, struct pg_pipe *p)
{
	pg_add(p, "begin isolation level repeatable read read only", NULL);
	add_guard(s, p, PLANNED_SETTINGS);
}

/* The comparison divides by zero; or the schema, the table, the column is not there. */
static bool is_another(const char *sqlstate)
{
	static const char *const states[] = {"22012", "3F000", "42P01", "42703"};
	for (size_t i = 0; sqlstate && i < sizeof states / sizeof *states; i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return true;
	return false;
}

/* To a worker the warehouse is away until the control thread has met it anew: -EAGAIN would tell a look that
 * the model's table has gone. */
static int another(struct store *s, const struct pg_conn *c, struct error *err)
{
	bool control = c == &s->control;
	if (control) {
		s->strange = true;
		pg_disconnect(&s->control);
	}
	return error_set(
		err, control ? EAGAIN : EHOSTUNREACH,
		"the schema batchfs is not the one that this mount has read: it was dropped and made anew, or "
		"brought up to date; nothing was recorded in it");
}

int store_run(struct store *s, struct pg_pipe *p, struct error *err)
{
	int r = pg_run(p, err);
	if (!r || p->lost || p->failed != GUARD ||
	    !is_another(PQresultErrorField(p->results[GUARD], PG_DIAG_SQLSTATE)))
		return r;
	return another(s, p->conn, err);
}

int store_query(struct store *s, const char *sql, const struct pg_params *params, PGresult **out,
		struct error *err)
{
	struct error why = {0};
	int r = pg_query(&s->control, pg_deadline(s), sql, params, out, &why);
	if (r && s->control.pq && is_another(why.sqlstate))
		return another(s, &s->control, err);
	if (r && err)
		*err = why;
	return r;
}

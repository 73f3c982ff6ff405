/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target is accepted when the states are of it: it is the one recorded, or it is empty and was
 * never met. Any other is looked at first; until then nothing is built into it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "backend/base/count.h"
#include "backend/note.h"
#include "backend/postgres/partition.h"
#include "backend/postgres/session.h"
#include "backend/postgres/record.h"
#include "backend/postgres/sql.h"

#define AT_ONCE 64

enum rows { ROWS_NONE, ROWS_SOME, ROWS_NOT_READABLE };

/* What a locked table may cost here: it is looked at by who can wait. */
#define NOT_WAITED "set local lock_timeout = '50ms'"

/* A transaction each, because a table that may not be read must not hide the others. */
static int look_for_rows(struct pg_conn *c, struct pg_model *const *models, const size_t *which, size_t n,
			 enum rows *rows, int64_t deadline, struct error *err)
{
	auto_pipe p = PG_PIPE(c, deadline);
	size_t at[AT_ONCE];
	p.tolerant = true;
	for (size_t i = 0; i < n; i++) {
		auto_strbuf sql = STRBUF_INIT;
		strbuf_printf(&sql, "select from %s limit 1", models[which[i]]->target);
		p.broken |= strbuf_broken(&sql);
		pg_add(&p, "begin", NULL);
		pg_add(&p, NOT_WAITED, NULL);
		at[i] = pg_add(&p, sql.str, NULL);
		pg_add_sync(&p);
		pg_add(&p, "rollback", NULL);
		pg_add_sync(&p);
	}
	int r = pg_run(&p, err);
	for (size_t i = 0; i < n && !r; i++)
		rows[which[i]] = PQresultStatus(p.results[at[i]]) != PGRES_TUPLES_OK ? ROWS_NOT_READABLE
				 : PQntuples(p.results[at[i]])			     ? ROWS_SOME
										     : ROWS_NONE;
	return r;
}

static int look_at_unmet(struct pg_conn *c, struct pg_model *const *models, struct pg_shape *const *shapes,
			 const struct pg_known *known, size_t n, enum rows *rows, int64_t deadline,
			 struct error *err)
{
	size_t which[AT_ONCE], asked = 0;
	int r = 0;
	for (size_t i = 0; i < n && !r; i++) {
		if (!shapes[i] || !shapes[i]->oid || shapes[i]->unfit || known[i].oid)
			continue;
		rows[i] = ROWS_NOT_READABLE;
		if (shapes[i]->oid == OID_ELSEWHERE)
			continue;
		which[asked++] = i;
		if (asked == AT_ONCE) {
			r = look_for_rows(c, models, which, asked, rows, deadline, err);
			asked = 0;
		}
	}
	return r || !asked ? r : look_for_rows(c, models, which, asked, rows, deadline, err);
}

static void set_accepted(struct store *s, struct pg_model *m, uint32_t oid)
{
	LOCKED(&s->lock);
	m->accepted = oid;
}

static int record(struct pg_conn *c, struct strbuf *ids, struct strbuf *oids, int64_t deadline,
		  struct error *err)
{
	if (ids->len == 0)
		return 0;
	pg_array_end(ids);
	pg_array_end(oids);
	struct pg_params params = {0};
	pg_param_text(&params, ids->str);
	pg_param_text(&params, oids->str);
	auto_pipe p = PG_PIPE(c, deadline);
	p.broken = strbuf_broken(ids) || strbuf_broken(oids);
	pg_add_begin(&p);
	pg_add(&p, SQL_ACCEPT, &params);
	pg_add(&p, "commit", NULL);
	return pg_run(&p, err);
}

int accept_targets(struct store *s, struct pg_conn *c, struct pg_model *const *models,
		   struct pg_shape *const *shapes, struct pg_known *known, size_t n, int64_t deadline,
		   struct error *err)
{
	auto_free enum rows *rows = calloc(n + 1, sizeof *rows);
	if (!rows)
		return error_set(err, ENOMEM, "no memory for %s",
				 count_of((uint64_t)n, "model", "models").text);
	int r = look_at_unmet(c, models, shapes, known, n, rows, deadline, err);
	auto_strbuf ids = STRBUF_INIT, oids = STRBUF_INIT;
	for (size_t i = 0; i < n && !r; i++) {
		uint32_t accepted = 0;
		known[i].look = false;
		if (!shapes[i] || shapes[i]->unfit)
			continue;
		if (!shapes[i]->oid) {
			known[i].look = known[i].oid != 0;
			set_accepted(s, models[i], 0);
			continue;
		}
		if (known[i].oid)
			known[i].look = known[i].oid != shapes[i]->oid;
		else
			/* Why it cannot be read is for the look to say. */
			known[i].look = rows[i] != ROWS_NONE;
		if (!known[i].look)
			accepted = shapes[i]->oid;
		if (accepted && !known[i].oid && models[i]->id) {
			pg_array_int(&ids, models[i]->id);
			pg_array_int(&oids, accepted);
		}
		set_accepted(s, models[i], accepted);
	}
	return r || s->config->read_only ? r : record(c, &ids, &oids, deadline, err);
}

static void __attribute__((format(printf, 2, 3))) add_note(struct store_target *out, const char *fmt, ...)
{
	size_t len = strlen(out->notes);
	va_list args;
	va_start(args, fmt);
	vsnprintf(out->notes + len, sizeof out->notes - len, fmt, args);
	va_end(args);
}

void describe_target(const struct pg_conn *c, const struct pg_model *m, const struct pg_shape *shape,
		     bool look, struct store_target *out)
{
	const char *zone = m->guest ? NULL : session_other_zone(c);
	*out = (struct store_target){
		.exists = shape->oid != 0,
		.look = look,
		/* Without an id its states are another model's, unless nothing has any. */
		.lookable = !shape->unfit && (pg_id(m) || !m->store->schema),
		.event_time_type = shape->type};
	/* A guest reads the inputs, and makes the table. */
	if (!m->guest || shape->unfit)
		out->why_not = shape->why_not;
	char sizes[sizeof m->other_sizes];
	{
		LOCKED(&m->store->lock);
		memcpy(sizes, m->other_sizes, sizeof sizes);
	}
	if (*sizes)
		add_note(out, NOTE_OTHER_SIZES, sizes);
	bool led = m->column ? shape->indexed : shape->expressed;
	if (shape->oid && !led && !shape->why_not.err)
		add_note(out,
			 "no index of %s leads with its event_time, so that each batch reads all of it: "
			 "CREATE INDEX ON %s (%s%s%s)\n",
			 m->target, m->target, m->column ? "" : "(", m->model->event_time,
			 m->column ? "" : ")");
	if (m->sql)
		out->strategy = partition_strategy(m, shape, out->notes, sizeof out->notes);
	if (m->model->atomic_refresh)
		add_note(
			out,
			"a full refresh is built beside %s and exchanged at its end, because the config says "
			"meta.batchfs.refresh: atomic\n",
			m->target);
	if (zone)
		add_note(
			out,
			"the session's time zone is %.100s: where the model's own SQL cuts days (date_trunc, ::date, "
			"current_date), they are that zone's, and a batch is cut in UTC\n",
			zone);
}

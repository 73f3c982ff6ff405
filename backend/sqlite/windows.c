/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/sqlite/look.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/time_value.h"

int found_list_add(struct found_list *f, ordinal batch, uint32_t attempt, struct error *err)
{
	if (f->n == f->size) {
		size_t size = f->size ? 2 * f->size : 64;
		struct found_batch *list = reallocarray(f->list, size, sizeof *list);
		if (!list)
			return error_set(err, ENOMEM, "no memory");
		f->list = list;
		f->size = size;
	}
	f->list[f->n++] = (struct found_batch){batch, attempt};
	return 0;
}

struct ordinal_range windows_of(const struct store *s, const struct model *m)
{
	ordinal first = calendar_ordinal(m->batch_size, m->begin);
	ordinal last = calendar_ordinal(m->batch_size, clock_now_us(s->config.clock));
	return (struct ordinal_range){first, last >= first ? last + 1 : first};
}

int bind_time(sqlite3_stmt *stmt, int at, enum time_type type, int64_t us, struct error *err)
{
	auto_strbuf literal = STRBUF_INIT;
	int r = time_literal(type, us, &literal, err);
	if (r < 0)
		return r;
	if (strbuf_broken(&literal))
		return error_set(err, ENOMEM, "no memory");
	r = literal.str[0] == '\''
		    ? sqlite3_bind_text(stmt, at, literal.str + 1, (int)literal.len - 2, SQLITE_TRANSIENT)
		    : sqlite3_bind_int64(stmt, at, strtoll(literal.str, NULL, 10));
	return r == SQLITE_OK ? 0 : db_error(sqlite3_db_handle(stmt), err);
}

static int prepare(struct worker *w, const struct model *m, bool all, sqlite3_stmt **out, struct error *err)
{
	auto_strbuf name = STRBUF_INIT, text = STRBUF_INIT;
	target_name(&name, m);
	if (strbuf_broken(&name))
		return error_set(err, ENOMEM, "no memory");
	const char *time = m->event_time;
	if (all)
		strbuf_printf(&text, SQL_WINDOWS, time, name.str, time, time);
	else
		strbuf_printf(&text, SQL_WINDOW_NEXT, time, name.str, time, time);
	return strbuf_broken(&text) ? error_set(err, ENOMEM, "no memory")
				    : worker_prepare(w, text.str, out, err);
}

/* One descent a window. *misfit: a value is no time, and in which window it lies nobody can say. */
static int skip(struct worker *w, const struct model *m, enum time_type type, struct ordinal_range batches,
		struct found_list *out, bool *misfit, struct error *err)
{
	auto_stmt *next = NULL;
	int r = prepare(w, m, false, &next, err);
	if (r == 0)
		r = bind_time(next, 2, type, calendar_start(m->batch_size, batches.end), err);
	for (ordinal from = batches.first; r == 0 && from < batches.end;) {
		int64_t us;
		r = bind_time(next, 1, type, calendar_start(m->batch_size, from), err);
		if (r == 0)
			r = db_step(next, err);
		if (r < 0 || sqlite3_column_type(next, 0) == SQLITE_NULL)
			break;
		*misfit = time_value_type(sqlite3_column_value(next, 0), &us) != type;
		if (*misfit)
			break;
		from = calendar_ordinal(m->batch_size, us);
		sqlite3_reset(next);
		r = found_list_add(out, from++, 0, err);
	}
	return r < 0 ? r : 0;
}

static int pass(struct worker *w, const struct model *m, enum time_type type, struct ordinal_range batches,
		struct found_list *out, struct error *err)
{
	auto_stmt *all = NULL;
	int r = prepare(w, m, true, &all, err);
	if (r == 0)
		r = bind_time(all, 1, type, calendar_start(m->batch_size, batches.first), err);
	if (r == 0)
		r = bind_time(all, 2, type, calendar_start(m->batch_size, batches.end), err);
	if (r == 0 && sqlite3_bind_int(all, 3, (int)m->batch_size) != SQLITE_OK)
		r = db_error(w->db, err);
	while (r == 0 && (r = db_step(all, err)) == 1)
		r = found_list_add(out, calendar_ordinal(m->batch_size, sqlite3_column_int64(all, 0)), 0,
				   err);
	return r < 0 ? r : 0;
}

int windows_find(struct worker *w, const struct model *m, const struct target_view *view,
		 struct found_list *out, struct error *err)
{
	struct ordinal_range batches = windows_of(w->store, m);
	/* Without a type there is no value. */
	if (view->type == TIME_UNKNOWN || batches.first >= batches.end)
		return 0;
	bool misfit = !view->indexed;
	int r = view->indexed ? skip(w, m, view->type, batches, out, &misfit, err) : 0;
	if (r < 0 || !misfit)
		return r;
	out->n = 0;
	return pass(w, m, view->type, batches, out, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets that another program has made, dropped or exchanged: looked for where the schema of FILE has
 * changed, which SQLite counts.
 */
#include "backend/sqlite/queue/queue.h"
#include "backend/sqlite/schema.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/target.h"

/* Within two seconds it is to be noticed. */
#define GLANCE_US 1000000

static int read_cookie(sqlite3 *db, int64_t *out, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_SCHEMA_COOKIE, &stmt, err);
	if (r == 0)
		r = db_step(stmt, err);
	*out = r == 1 ? sqlite3_column_int64(stmt, 0) : 0;
	return r < 0 ? r : 0;
}

/* As it was told of last. Who is making it or meets it for the first time tells of it himself, soon. */
static bool differs(struct store *s, size_t i, bool soon, struct target_view *view)
{
	LOCKED(&s->lock);
	const struct target *t = &warehouse_of(s)->targets[i];
	view->type = view->exists ? t->type : TIME_UNKNOWN;
	return !(soon && t->busy) && (t->exists != view->exists || (view->exists && t->known != view->known));
}

static int glance(struct store *s, sqlite3 *db, size_t i, bool tables, bool soon,
		  const struct store_sink *sink, struct error *err)
{
	const struct model *m = s->models[i].model;
	struct target_view view = {.type = TIME_UNKNOWN};
	struct store_target target;
	int r = target_glance(db, m, tables, &view, err);
	if (r < 0 || !differs(s, i, soon, &view))
		return r;
	const struct error *unbuilt = &warehouse_of(s)->targets[i].edition->unbuilt;
	target_answer(&view, &target);
	if (unbuilt->err) {
		target.why_not = *unbuilt;
		target.lasting = true;
	}
	target_learn(s, (slot)i, &view);
	log_info(s->config.log, "%s %s", m->relation.identifier,
		 !target.exists ? "is not there any more"
		 : target.look	? "is another table than before"
				: "is there now");
	sink->target(sink->ctx, (slot)i, &target);
	return 0;
}

/* In one snapshot. soon: it is soon enough to hear of it. */
static int glance_at_all(struct store *s, sqlite3 *db, bool soon, const struct store_sink *sink,
			 struct error *err)
{
	struct warehouse *w = warehouse_of(s);
	int64_t cookie = 0;
	bool tables = false;
	int r = db_exec(db, "BEGIN", err);
	if (r == 0)
		r = read_cookie(db, &cookie, err);
	if (r == 0 && cookie != w->cookie) {
		r = warehouse_schema_check(db, &tables, err);
		for (size_t i = 0; r == 0 && i < s->n; i++)
			if (s->models[i].enlisted && !s->models[i].gone)
				r = glance(s, db, i, tables, soon, sink, err);
	}
	if (r == 0)
		w->cookie = cookie;
	db_rollback(db);
	return r;
}

static int check(struct store *s, bool soon, const struct store_sink *sink, struct error *err)
{
	struct warehouse *w = warehouse_of(s);
	auto_db *unwritten = NULL;
	int r;
	w->glanced_at = clock_monotonic_us();
	r = s->config.read_only ? warehouse_connect(s, &s->patience, &unwritten, err)
				: warehouse_control(s, err);
	if (r == 0)
		r = glance_at_all(s, unwritten ? unwritten : w->db, soon, sink, err);
	/* Somebody holds the file for a moment. */
	return r == -EBUSY ? 0 : r;
}

int warehouse_check(struct store *s, const struct store_sink *sink, struct error *err)
{
	return check(s, false, sink, err);
}

int warehouse_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err)
{
	int r = queue_follow(s, timeout_ms, sink, err);
	bool late = clock_monotonic_us() >= warehouse_of(s)->glanced_at + GLANCE_US;
	return r == 0 && late ? check(s, true, sink, err) : r;
}

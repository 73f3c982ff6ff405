/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/guard.h"
#include "backend/sqlite/time_value.h"

/* Not deterministic, so that SQLite calls it once for each row and never ahead of time. */
static void fn_outside(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	struct worker *w = sqlite3_user_data(ctx);
	enum time_type type = time_value_type(args[0], NULL);
	w->outside++;
	sqlite3_result_int(ctx, 0);
	/* A time of the other type is in no window of this one: every row would be left out. */
	if (type != TIME_UNSUPPORTED && type != w->expected) {
		w->misfit = type;
		sqlite3_result_error(ctx, "the event_time has another type", -1);
	}
}

static void fn_is_time(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	sqlite3_result_int(ctx, time_value_type(args[0], NULL) != TIME_UNSUPPORTED);
}

/* (event_time, enum batch_size) -> the start of its batch in us; null where it is no time. */
static void fn_start(sqlite3_context *ctx, int n, sqlite3_value **args)
{
	int64_t us;
	enum batch_size size = (enum batch_size)sqlite3_value_int(args[1]);
	if (time_value_type(args[0], &us) != TIME_UNSUPPORTED)
		sqlite3_result_int64(ctx, calendar_start(size, calendar_ordinal(size, us)));
}

int sqlite_worker_open(struct store *s, const char *lane, struct worker **out, struct error *err)
{
	(void)lane; /* there is no server that lists sessions */
	struct worker *w = calloc(1, sizeof *w);
	*out = w;
	if (!w)
		return error_set(err, ENOMEM, "no memory");
	w->store = s;
	w->patience = (struct patience){
		.abandoned = &s->abandoned,
		.wait_us = (s->config.timeout_s > 0 ? s->config.timeout_s : 10) * INT64_C(1000000),
	};
	return 0;
}

void sqlite_worker_close(struct worker *w)
{
	if (!w)
		return;
	sqlite3_close(w->db);
	free(w->looks);
	free(w);
}

static int connect_worker(struct worker *w, struct error *err)
{
	if (w->db)
		return 0;
	int r = warehouse_connect(w->store, &w->patience, &w->db, err);
	if (r < 0)
		return r;
	/* Ours alone: no view and no trigger may use them. */
	int direct = SQLITE_UTF8 | SQLITE_DIRECTONLY, pure = direct | SQLITE_DETERMINISTIC;
	if (sqlite3_create_function(w->db, "batchfs_outside", 1, direct, w, fn_outside, NULL, NULL) ||
	    sqlite3_create_function(w->db, "batchfs_is_time", 1, pure, NULL, fn_is_time, NULL, NULL) ||
	    sqlite3_create_function(w->db, "batchfs_start", 2, pure, NULL, fn_start, NULL, NULL))
		return db_error(w->db, err);
	return guard_install(w, err);
}

int worker_enter(struct worker *w, slot model, struct error *err)
{
	int r = store_usable(w->store, err);
	if (r < 0)
		return r;
	w->edition = model == SLOT_NONE ? NULL : edition_get(w->store, model);
	{
		LOCKED(&w->store->lock);
		w->busy = true;
		__atomic_store_n(&w->patience.stop, false, __ATOMIC_RELEASE);
	}
	struct file_watch watch = warehouse_watch(w->store);
	r = w->store->config.read_only ? 0 : watch_check(&watch, err);
	return r == 0 ? connect_worker(w, err) : r;
}

void worker_leave(struct worker *w)
{
	db_rollback(w->db);
	if (w->store->config.read_only) { /* see file_open_unwritten() */
		sqlite3_close(w->db);
		w->db = NULL;
	}
	edition_put(w->store, w->edition);
	w->edition = NULL;
	LOCKED(&w->store->lock);
	w->busy = false;
	__atomic_store_n(&w->patience.stop, false, __ATOMIC_RELEASE);
}

/* The flag is looked at by whatever the worker waits for; between two calls it is down. */
void sqlite_interrupt(struct worker *w)
{
	LOCKED(&w->store->lock);
	if (w->busy)
		__atomic_store_n(&w->patience.stop, true, __ATOMIC_RELEASE);
}

int worker_checked(const struct worker *w, struct error *err)
{
	return patience_ended(&w->patience) ? error_set(err, ECANCELED, "interrupted") : 0;
}

int worker_prepare(struct worker *w, const char *sql, sqlite3_stmt **out, struct error *err)
{
	sqlite3_db_config(w->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	int r = db_prepare(w->db, sql, out, err);
	sqlite3_db_config(w->db, SQLITE_DBCONFIG_DQS_DML, 1, NULL);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a queue: opened, waited for, closed. */
#include <stdio.h>
#include <string.h>

#include "backend/sqlite/db/file.h"
#include "backend/sqlite/db/lock.h"
#include "backend/sqlite/queue/private.h"

int queue_init(struct store *s, const struct engine_config *config, const char *path,
	       const struct queue_hooks *hooks, struct error *err)
{
	pthread_condattr_t monotonic;
	s->config = *config;
	s->hooks = hooks;
	s->lock_fd = -1;
	s->patience = (struct patience){.abandoned = &s->abandoned, .wait_us = 1000000};
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->woken_cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->owner = fresh_id();
	s->path = strdup(path);
	if (asprintf(&s->lock_path, "%s.lock", path) < 0)
		s->lock_path = NULL;
	return s->path && s->lock_path ? 0 : error_set(err, ENOMEM, "no memory");
}

void queue_fini(struct store *s)
{
	done_rows_close(&s->done);
	sqlite3_close(s->db);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_cond_destroy(&s->woken_cond);
	pthread_mutex_destroy(&s->lock);
	free(s->models);
	free(s->path);
	free(s->lock_path);
}

int queue_open(struct store *s, struct error *err)
{
	auto_db *db = NULL;
	bool present;
	int r = s->config.read_only ? 0 : lock_take(s->lock_path, &s->lock_fd, err);
	if (r == 0)
		r = queue_connect(s, &s->patience, &db, err);
	if (r < 0 || !db)
		return r;
	return s->config.read_only ? queue_schema_check(db, &present, err) : queue_schema(db, err);
}

int store_usable(const struct store *s, struct error *err)
{
	if (__atomic_load_n(&s->abandoned, __ATOMIC_ACQUIRE))
		return error_set(err, ECANCELED, "the mount is ending");
	return 0;
}

int queue_connect(struct store *s, struct patience *p, sqlite3 **out, struct error *err)
{
	*out = NULL;
	if (!s->config.read_only)
		return file_open_written(s->path, SQLITE_OPEN_CREATE, p, out, err);
	return access(s->path, F_OK) == 0 ? file_open_unwritten(s->path, p, out, err) : 0;
}

int connect_control(struct store *s, struct error *err)
{
	int r = store_usable(s, err);
	if (r < 0)
		return r;
	if (s->config.read_only)
		return error_set(err, EROFS, "mounted with -o ro: nothing is written to the warehouse");
	if (!s->db) {
		lock_sign(s->lock_fd);
		r = queue_connect(s, &s->patience, &s->db, err);
	}
	if (r == 0 && s->hooks && !s->done.one)
		r = s->hooks->connect(s, &s->done, err);
	return r;
}

static int requeue_mine(struct store *s, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(s->db, SQL_REQUEUE_MINE, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", s->owner);
	return r == 0 ? db_run(stmt, err) : r;
}

/*
 * Nothing is built any more. What the last runs finished is written down as idle, what is
 * left goes back to the queue; a failure to do so costs an interruption at the next open.
 */
void queue_put_back(struct store *s)
{
	struct error err = {0};
	bool ended = false;
	if (!s->db || (s->hooks && !s->done.one))
		return;
	db_rollback(s->db);
	struct patience *p = &s->patience;
	p->abandoned = &ended;
	int r = db_exec(s->db, "BEGIN IMMEDIATE", &err);
	for (slot i = 0; i < (slot)s->n && r == 0; i++)
		if (s->models[i].enlisted)
			r = queue_sweep(s, s->db, &s->done, i, s->owner, &err);
	if (r == 0)
		r = requeue_mine(s, &err);
	if (r == 0)
		r = db_exec(s->db, "COMMIT", &err);
	if (r < 0) {
		db_rollback(s->db);
		log_warning(s->config.log, "%s: running batches could not be put back into the queue: %s",
			    s->path, err.text);
	}
	p->abandoned = &s->abandoned;
}

void queue_wake(struct store *s)
{
	LOCKED(&s->lock);
	s->woken = true;
	pthread_cond_broadcast(&s->woken_cond);
}

void queue_abandon(struct store *s)
{
	LOCKED(&s->lock);
	__atomic_store_n(&s->abandoned, true, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&s->woken_cond);
}

/* The lock makes this mount the only writer: there is nobody whose news could come. */
int queue_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	int64_t ns = until.tv_nsec + (int64_t)timeout_ms * 1000000;
	until.tv_sec += ns / 1000000000;
	until.tv_nsec = ns % 1000000000;
	LOCKED(&s->lock);
	int r = 0;
	while (!s->woken && !s->abandoned && r == 0)
		r = pthread_cond_timedwait(&s->woken_cond, &s->lock, &until);
	s->woken = false;
	return store_usable(s, err);
}

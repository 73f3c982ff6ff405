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
	s->watch.path = s->path;
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
	for (size_t i = 0; i < s->n; i++)
		model_drop(s->models[i].model);
	free(s->models);
	free(s->path);
	free(s->lock_path);
}

static int put_mount(struct store *s, sqlite3 *db, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_MOUNT_PUT, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", s->owner);
	return r == 0 ? db_run(stmt, err) : r;
}

int queue_open(struct store *s, struct error *err)
{
	auto_db *db = NULL;
	bool present;
	if (s->config.read_only) {
		int r = queue_connect(s, &s->patience, &db, err);
		return r == 0 && db ? queue_schema_check(db, &present, err) : r;
	}
	int r = lock_take(s->lock_path, s->config.database, &s->lock_fd, err);
	if (r == 0)
		r = file_open_written(s->path, SQLITE_OPEN_CREATE, &s->patience, &db, err);
	if (r == 0)
		r = queue_schema(db, err);
	if (r == 0)
		r = watch_connection(&s->watch, db, err);
	return r == 0 ? put_mount(s, db, err) : r;
}

int store_usable(const struct store *s, struct error *err)
{
	if (__atomic_load_n(&s->abandoned, __ATOMIC_ACQUIRE))
		return error_set(err, ECANCELED, "the mount is ending");
	return 0;
}

static struct file_watch queue_watch(struct store *s)
{
	LOCKED(&s->lock);
	return s->watch;
}

int queue_connect(struct store *s, struct patience *p, sqlite3 **out, struct error *err)
{
	*out = NULL;
	if (s->config.read_only)
		return access(s->path, F_OK) == 0 ? file_open_unwritten(s->path, p, out, err) : 0;
	struct file_watch watch = queue_watch(s);
	return watch_open(&watch, p, out, err);
}

/* Both files are those that were mounted. */
static int check_files(struct store *s, struct error *err)
{
	struct file_watch watch = queue_watch(s);
	int r = s->config.read_only ? 0 : watch_check(&watch, err);
	return r == 0 && s->hooks ? s->hooks->usable(s, false, err) : r;
}

static int connect_queue(struct store *s, struct error *err)
{
	struct file_watch watch = queue_watch(s);
	auto_db *db = NULL;
	lock_sign(s->lock_fd);
	int r = queue_connect(s, &s->patience, &db, err);
	if (r == 0)
		r = watch_log(&watch, db, err);
	if (r < 0)
		return r;
	s->db = steal(&db);
	LOCKED(&s->lock);
	s->watch = watch;
	return 0;
}

int connect_control(struct store *s, struct error *err)
{
	int r = store_usable(s, err);
	if (r < 0)
		return r;
	if (s->config.read_only)
		return error_set(err, EROFS, "mounted with -o ro: nothing is written to the warehouse");
	r = check_files(s, err);
	if (r == 0 && !s->db)
		r = connect_queue(s, err);
	if (r == 0 && s->hooks && !s->done.one)
		r = s->hooks->connect(s, &s->done, err);
	return r;
}

static int check_mount(struct store *s, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(s->db, SQL_MOUNT_IS, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", s->owner);
	if (r == 0)
		r = db_step(stmt, err);
	if (r == 0)
		r = error_set(
			err, EHOSTUNREACH,
			"%s has been mounted once more, although this mount holds %s: somebody has removed that file, "
			"and nothing is recorded here any more. Unmount",
			s->path, s->lock_path);
	return r < 0 ? r : 0;
}

int queue_begin(struct store *s, struct error *err)
{
	int r = db_exec(s->db, "BEGIN IMMEDIATE", err);
	if (r == 0)
		r = watch_contents(&s->watch, s->db, err);
	if (r == 0)
		r = check_mount(s, err);
	return r == 0 && s->hooks ? s->hooks->usable(s, true, err) : r;
}

int queue_commit(struct store *s, struct error *err)
{
	struct error why = {0};
	int r = db_exec(s->db, "COMMIT", err);
	/* In which file it is nobody knows: not the one that everybody sees. */
	if (r == 0 && check_files(s, &why) < 0)
		r = error_set(err, ETIMEDOUT, "%s", why.text);
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
	if (!s->db || (s->hooks && !s->done.one) || check_files(s, &err) < 0)
		return;
	db_rollback(s->db);
	struct patience *p = &s->patience;
	p->abandoned = &ended;
	int r = queue_begin(s, &err);
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

/* Until somebody wakes it, or the time is over. */
static void wait_for_wake(struct store *s, int timeout_ms)
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
}

/* The lock makes this mount the only writer: there is nobody whose news could come, but that the files are
 * others. */
int queue_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err)
{
	wait_for_wake(s, timeout_ms);
	int r = store_usable(s, err);
	return r == 0 ? check_files(s, err) : r;
}

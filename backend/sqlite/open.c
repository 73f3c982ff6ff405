/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/sqlite/private.h"

static char *with_suffix(const char *file, const char *suffix)
{
	char *name = NULL;
	return asprintf(&name, "%s%s", file, suffix) < 0 ? NULL : name;
}

/* SQLite's own words for these are "unable to open database file"; one that is not there it would make. */
static int check_file(const char *file, bool read_only, struct error *err)
{
	struct stat st;
	if (stat(file, &st) < 0)
		return error_set(err, errno, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, S_ISDIR(st.st_mode) ? EISDIR : EINVAL, "%s: is not a database file",
				 file);
	if (access(file, read_only ? R_OK : R_OK | W_OK) < 0)
		return error_set(err, errno, "%s: %s", file, strerror(errno));
	return 0;
}

static int check_readable(struct store *s, struct error *err)
{
	auto_db *file = NULL, *queue = NULL;
	bool present;
	int r = connect_file(s, &s->patience, &file, err);
	if (r == 0)
		r = schema_check(file, &present, err);
	if (r == 0)
		r = connect_queue(s, &s->patience, &queue, err);
	return r == 0 && queue ? schema_check(queue, &present, err) : r;
}

static int make_writable(struct store *s, struct error *err)
{
	int r = lock_take(s->lock_path, &s->lock_fd, err);
	if (r < 0)
		return r;
	auto_db *file = NULL, *queue = NULL;
	r = connect_file(s, &s->patience, &file, err);
	if (r == 0)
		r = schema_file(file, err);
	if (r == 0)
		r = connect_queue(s, &s->patience, &queue, err);
	return r == 0 ? schema_queue(queue, err) : r;
}

static int init(struct store *s, const struct engine_config *config, struct error *err)
{
	pthread_condattr_t monotonic;
	s->config = *config;
	s->lock_fd = -1;
	s->patience = (struct patience){.abandoned = &s->abandoned, .wait_us = 1000000};
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->woken_cond, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->owner = fresh_id();
	s->file = strdup(config->database);
	s->queue = with_suffix(config->database, "-queue");
	s->lock_path = with_suffix(config->database, "-queue.lock");
	if (!s->file || !s->queue || !s->lock_path)
		return error_set(err, ENOMEM, "no memory");
	return 0;
}

int sqlite_open(const struct engine_config *config, struct store **out, struct error *err)
{
	*out = NULL;
	if (!config->database || !*config->database)
		return error_set(err, EINVAL,
				 "SQLite needs to know the file of the warehouse: -o database=FILE");
	int r = check_file(config->database, config->read_only, err);
	if (r < 0)
		return r;
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return error_set(err, ENOMEM, "no memory");
	r = init(s, config, err);
	if (r == 0)
		r = config->read_only ? check_readable(s, err) : make_writable(s, err);
	if (r < 0) {
		sqlite_close(s);
		return r;
	}
	*out = s;
	return 0;
}

static int requeue_mine(struct store *s, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(s->queue_db, "UPDATE state SET run = 2 WHERE run = 1 AND owner = ?", &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "i", s->owner);
	return r == 0 ? db_run(stmt, err) : r;
}

/*
 * Nothing is built any more. What the last runs finished is written down as idle, what is
 * left goes back to the queue; a failure to do so costs an interruption at the next open.
 */
static void put_back(struct store *s)
{
	struct error err = {0};
	bool ended = false;
	if (!s->queue_db || !s->file_db)
		return;
	db_rollback(s->queue_db);
	struct patience *p = &s->patience;
	p->abandoned = &ended;
	int r = db_exec(s->queue_db, "BEGIN IMMEDIATE", &err);
	for (size_t i = 0; i < s->n && r == 0; i++)
		if (s->targets[i].enlisted)
			r = sweep_model(s, s->queue_db, s->file_db, &s->targets[i], s->owner, &err);
	if (r == 0)
		r = requeue_mine(s, &err);
	if (r == 0)
		r = db_exec(s->queue_db, "COMMIT", &err);
	if (r < 0) {
		db_rollback(s->queue_db);
		log_warning(s->config.log, "%s: running batches could not be put back into the queue: %s",
			    s->queue, err.text);
	}
}

static void target_free(struct target *t)
{
	for (char **c = t->columns; c && *c; c++)
		free(*c);
	free(t->columns);
	free(t->input_types);
	window_sql_free(t->sql);
}

void sqlite_close(struct store *s)
{
	if (!s)
		return;
	put_back(s);
	sqlite3_close(s->queue_db);
	sqlite3_close(s->file_db);
	for (size_t i = 0; i < s->n; i++)
		target_free(&s->targets[i]);
	free(s->targets);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_cond_destroy(&s->woken_cond);
	pthread_mutex_destroy(&s->lock);
	free(s->file);
	free(s->queue);
	free(s->lock_path);
	free(s);
}

void sqlite_wake(struct store *s)
{
	LOCKED(&s->lock);
	s->woken = true;
	pthread_cond_broadcast(&s->woken_cond);
}

void sqlite_abandon(struct store *s)
{
	LOCKED(&s->lock);
	__atomic_store_n(&s->abandoned, true, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&s->woken_cond);
}

/* The lock makes this mount the only writer: there is nobody whose news could come. */
int sqlite_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err)
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

struct target target_copy(struct store *s, slot model)
{
	LOCKED(&s->lock);
	return s->targets[model];
}

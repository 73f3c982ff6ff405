/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/sqlite/db/file.h"
#include "backend/sqlite/done.h"
#include "backend/sqlite/schema.h"
#include "backend/sqlite/target.h"

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

struct file_watch warehouse_watch(struct store *s)
{
	LOCKED(&s->lock);
	return warehouse_of(s)->watch;
}

int warehouse_connect(struct store *s, struct patience *p, sqlite3 **out, struct error *err)
{
	struct file_watch watch = warehouse_watch(s);
	return s->config.read_only ? file_open_unwritten(warehouse_of(s)->file, p, out, err)
				   : watch_open(&watch, p, out, err);
}

static int connect_file(struct store *s, struct error *err)
{
	struct warehouse *w = warehouse_of(s);
	struct file_watch watch = warehouse_watch(s);
	auto_db *db = NULL;
	int r = warehouse_connect(s, &s->patience, &db, err);
	if (r == 0)
		r = watch_log(&watch, db, err);
	if (r == 0)
		r = db_exec(db, "PRAGMA query_only = 1", err);
	if (r < 0)
		return r;
	w->db = steal(&db);
	LOCKED(&s->lock);
	w->watch = watch;
	return 0;
}

int warehouse_control(struct store *s, struct error *err)
{
	return warehouse_of(s)->db ? 0 : connect_file(s, err);
}

/* FILE as the control thread reads it: beside what it has asked for, what is done. */
static int connect_control(struct store *s, struct done_rows *out, struct error *err)
{
	int r = warehouse_control(s, err);
	return r == 0 ? done_rows_open(warehouse_of(s)->db, out, err) : r;
}

static int check_watched(struct store *s, bool contents, struct error *err)
{
	struct file_watch watch = warehouse_watch(s);
	if (s->config.read_only)
		return 0;
	int r = watch_check(&watch, err);
	return r == 0 && contents ? watch_contents(&watch, warehouse_of(s)->db, err) : r;
}

static const struct queue_hooks hooks = {.usable = check_watched, .connect = connect_control};

static int init(struct warehouse *w, const struct engine_config *config, struct error *err)
{
	auto_free char *queue = NULL;
	if (asprintf(&queue, "%s-queue", config->database) < 0)
		queue = NULL;
	w->file = strdup(config->database);
	w->watch.path = w->file;
	int r = queue_init(&w->store, config, queue ? queue : "", &hooks, err);
	return r == 0 && !(w->file && queue) ? error_set(err, ENOMEM, "no memory") : r;
}

/* The lock of the queue is the one of FILE, too: it comes first. */
static int open_both(struct warehouse *w, struct error *err)
{
	auto_db *file = NULL;
	bool present;
	struct store *s = &w->store;
	int r = queue_open(s, err);
	if (r == 0)
		r = s->config.read_only ? file_open_unwritten(w->file, &s->patience, &file, err)
					: file_open_written(w->file, 0, &s->patience, &file, err);
	if (r < 0 || s->config.read_only)
		return r < 0 ? r : warehouse_schema_check(file, &present, err);
	r = warehouse_schema_make(file, err);
	return r == 0 ? watch_connection(&w->watch, file, err) : r;
}

int warehouse_open(const struct engine_config *config, struct store **out, struct error *err)
{
	*out = NULL;
	if (!config->database || !*config->database)
		return error_set(err, EINVAL,
				 "SQLite needs to know the file of the warehouse: -o database=FILE");
	int r = check_file(config->database, config->read_only, err);
	if (r < 0)
		return r;
	struct warehouse *w = calloc(1, sizeof *w);
	if (!w)
		return error_set(err, ENOMEM, "no memory");
	r = init(w, config, err);
	if (r == 0)
		r = open_both(w, err);
	if (r < 0) {
		warehouse_close(&w->store);
		return r;
	}
	*out = &w->store;
	return 0;
}

void warehouse_close(struct store *s)
{
	if (!s)
		return;
	struct warehouse *w = warehouse_of(s);
	queue_put_back(s);
	for (size_t i = 0; w->targets && i < s->n; i++) {
		columns_free(w->targets[i].columns);
		edition_put(s, w->targets[i].edition);
	}
	queue_fini(s);
	sqlite3_close(w->db);
	free(w->targets);
	free(w->file);
	free(w);
}

int warehouse_load(struct store *s, const struct store_sink *sink, struct error *err)
{
	auto_db *file = NULL, *queue = NULL;
	struct done_rows done = {0};
	int r = store_usable(s, err);
	if (r == 0)
		r = warehouse_connect(s, &s->patience, &file, err);
	if (r == 0)
		r = queue_connect(s, &s->patience, &queue, err);
	if (r == 0)
		r = done_rows_open(file, &done, err);
	if (r == 0)
		r = queue_load(s, queue, &done, sink, err);
	done_rows_close(&done);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/db/watch.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/base/cleanup.h"
#include "backend/sqlite/db/file.h"
#include "backend/sqlite/db/meta.h"
#include "backend/sqlite/db/sql.h"

#define REMOUNT "unmount, and mount again what is there now"

static bool find(const char *path, const char *suffix, struct watched_file *out)
{
	auto_strbuf name = STRBUF_INIT;
	struct stat st;
	strbuf_printf(&name, "%s%s", path, suffix);
	*out = (struct watched_file){0};
	if (strbuf_broken(&name) || stat(name.str, &st) < 0)
		return false;
	*out = (struct watched_file){.dev = st.st_dev, .ino = st.st_ino};
	return true;
}

static bool same(const struct watched_file *a, const struct watched_file *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

int watch_check(const struct file_watch *w, struct error *err)
{
	const struct {
		const char *suffix;
		const struct watched_file *was;
	} all[] = {{"", &w->file}, {"-wal", &w->log}, {"-shm", &w->index}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct watched_file now;
		const char *suffix = all[i].suffix;
		if (!all[i].was->ino)
			continue;
		if (!find(w->path, suffix, &now))
			return error_set(
				err, EHOSTUNREACH,
				"%s%s was deleted or moved away while it was mounted, and nothing is recorded: move "
				"it back, or " REMOUNT,
				w->path, suffix);
		if (!same(all[i].was, &now))
			return error_set(
				err, EHOSTUNREACH,
				"%s%s was replaced by another file while it was mounted, and nothing is recorded: " REMOUNT,
				w->path, suffix);
	}
	return 0;
}

int watch_connection(struct file_watch *w, sqlite3 *db, struct error *err)
{
	struct watched_file now;
	int moved = 0;
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) != SQLITE_OK)
		return db_error(db, err);
	if (!find(w->path, "", &now) || moved || (w->file.ino && !same(&w->file, &now))) {
		int r = w->file.ino ? watch_check(w, err) : 0;
		return r ? r : error_set(err, EHOSTUNREACH, "%s was replaced while it was opened", w->path);
	}
	w->file = now;
	return w->identity[0] ? 0 : meta_identity(db, w->identity, sizeof w->identity, err);
}

int watch_open(const struct file_watch *w, struct patience *p, sqlite3 **out, struct error *err)
{
	struct file_watch known = *w;
	auto_db *db = NULL;
	*out = NULL;
	int r = watch_check(w, err);
	if (r == 0)
		r = file_open_written(w->path, 0, p, &db, err);
	if (r == 0)
		r = watch_connection(&known, db, err);
	if (r == 0)
		*out = steal(&db);
	return r;
}

int watch_log(struct file_watch *w, sqlite3 *db, struct error *err)
{
	auto_stmt *read = NULL;
	/* SQLite opens them with the first read. */
	int r = db_prepare(db, SQL_META_PRESENT, &read, err);
	if (r == 0)
		r = db_step(read, err);
	if (r < 0)
		return r;
	find(w->path, "-wal", &w->log);
	find(w->path, "-shm", &w->index);
	return 0;
}

int watch_contents(const struct file_watch *w, sqlite3 *db, struct error *err)
{
	char now[sizeof w->identity];
	struct error why = {0};
	int r = meta_identity(db, now, sizeof now, &why);
	if (r == -EBUSY || r == -ECANCELED || r == -ENOMEM) {
		*err = why;
		return r;
	}
	if (r < 0 || strcmp(now, w->identity) != 0)
		return error_set(
			err, EHOSTUNREACH,
			"the contents of %s were replaced while it was mounted, and nothing is recorded: " REMOUNT,
			w->path);
	return 0;
}

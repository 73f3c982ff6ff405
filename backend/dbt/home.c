/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/home.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "backend/base/strbuf.h"
#include "backend/dbt/adopt.h"
#include "backend/dbt/process.h"

#define PLACES_MAX 64
/* How long a dbt that was killed may take to be gone. */
#define GONE_US 3000000

/* Makes the directory and those above it, for us alone. */
static int make_directory(const char *path, struct error *err)
{
	auto_free char *part = strdup(path);
	for (char *slash = part ? part + 1 : NULL; slash;) {
		slash = strchr(slash, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return error_set(err, errno, "%s: %s", part, strerror(errno));
		if (slash)
			*slash++ = '/';
	}
	return part ? 0 : error_set(err, ENOMEM, "no memory");
}

/* One project, profile and target has one file, wherever it is mounted from. FNV-1a. */
static uint64_t print_of(const char *project, const struct engine_config *c)
{
	const char *const parts[] = {project, c->profiles ? c->profiles : "", c->target ? c->target : ""};
	uint64_t print = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		for (const char *p = parts[i];; p++) {
			print = (print ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
			if (!*p)
				break;
		}
	return print;
}

/* $XDG_STATE_HOME/batchfs/PROJECT-HASH.db */
static int default_file(const struct engine_config *c, char **out, struct error *err)
{
	const char *state = getenv("XDG_STATE_HOME"), *user = getenv("HOME");
	auto_free char *project = realpath(c->project, NULL);
	const char *name = project ? strrchr(project, '/') : NULL;
	auto_strbuf path = STRBUF_INIT;
	if (state && *state == '/')
		strbuf_printf(&path, "%s/batchfs", state);
	else if (user && *user == '/')
		strbuf_printf(&path, "%s/.local/state/batchfs", user);
	else
		return error_set(err, EINVAL,
				 "neither XDG_STATE_HOME nor HOME says where batchfs keeps its files of "
				 "dbt: set one of them, or, with store=sqlite, give database=FILE");
	if (!project)
		return error_set(err, errno, "%s: %s", c->project, strerror(errno));
	int r = make_directory(path.str, err);
	strbuf_printf(&path, "/%s-%016llx.db", name && name[1] ? name + 1 : "dbt",
		      (unsigned long long)print_of(project, c));
	*out = strbuf_detach(&path);
	return r == 0 && !*out ? error_set(err, ENOMEM, "no memory") : r;
}

static int check_project(const struct engine_config *c, struct error *err)
{
	auto_strbuf file = STRBUF_INIT;
	strbuf_printf(&file, "%s/dbt_project.yml", c->project);
	if (access(file.str, R_OK) < 0)
		return error_set(err, errno, "%s: %s; project= is the directory of the dbt project", file.str,
				 strerror(errno));
	return 0;
}

/* The interpreter in the first line of the dbt command; NULL: it is no Python script. */
static char *interpreter_of(const char *command)
{
	char line[512] = "";
	auto_free char *real = realpath(command, NULL);
	auto_file FILE *f = real ? fopen(real, "re") : NULL;
	if (!f || !fgets(line, sizeof line, f) || strncmp(line, "#!", 2) != 0)
		return NULL;
	char *path = line + 2 + strspn(line + 2, " \t");
	char *end = path + strcspn(path, " \t\n");
	/* "/usr/bin/env python3", and interpreters with options of their own, are run as they stand. */
	bool alone = *end == '\n';
	*end = '\0';
	const char *name = strrchr(path, '/');
	return alone && name && strncmp(name + 1, "python", 6) == 0 ? strdup(path) : NULL;
}

static int find_dbt(struct guest *h, const char *command, struct error *err)
{
	auto_free char *dbt = process_find(command);
	if (!dbt || access(dbt, X_OK) < 0)
		return error_set(err, dbt ? errno : ENOENT, "%s: %s; dbt= is the command that runs dbt",
				 command, dbt ? strerror(errno) : "no such command in PATH");
	h->python = interpreter_of(dbt);
	return 0;
}

int home_states(const struct engine_config *config, char **out, struct error *err)
{
	if (!config->database)
		return default_file(config, out, err);
	*out = strdup(config->database);
	return *out ? 0 : error_set(err, ENOMEM, "no memory");
}

static int open_home(struct guest *h, const struct engine_config *config, struct error *err)
{
	auto_free char *file = NULL;
	int r = check_project(config, err);
	if (r == 0)
		r = find_dbt(h, config->dbt, err);
	if (r == 0 && config->adopt)
		r = adopt_check(config->adopt, err);
	if (r == 0)
		r = home_states(config, &file, err);
	if (r == 0 && asprintf(&h->dir, "%s-dbt", file) < 0) {
		h->dir = NULL;
		r = error_set(err, ENOMEM, "no memory");
	}
	return r;
}

int home_open(const struct engine_config *config, struct guest **out, struct error *err)
{
	pthread_condattr_t monotonic;
	*out = NULL;
	struct guest *h = calloc(1, sizeof *h);
	if (!h)
		return error_set(err, ENOMEM, "no memory");
	h->config = *config;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&h->free, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int r = open_home(h, config, err);
	if (r < 0) {
		home_close(h);
		return r;
	}
	*out = h;
	return 0;
}

void home_close(struct guest *h)
{
	if (!h)
		return;
	pthread_cond_destroy(&h->free);
	pthread_mutex_destroy(&h->lock);
	free(h->dir);
	free(h->python);
	free(h);
}

void home_abandon(struct guest *h)
{
	LOCKED(&h->lock);
	h->abandoned = true;
	pthread_cond_broadcast(&h->free);
}

bool home_abandoned(struct guest *h)
{
	LOCKED(&h->lock);
	return h->abandoned;
}

static int open_locked(const char *dir, const char *name, int flags, struct error *err)
{
	auto_strbuf path = STRBUF_INIT;
	strbuf_printf(&path, "%s/%s", dir, name);
	int fd = open(path.str, O_RDWR | O_CLOEXEC | flags, 0600);
	return fd >= 0 ? fd : error_set(err, errno, "%s: %s", path.str, strerror(errno));
}

/* Whoever holds the lock is no worker of a mount that lives. */
static int end_left(const struct log *log, int fd, const char *dir, struct error *err)
{
	char text[16] = "";
	int64_t until = clock_monotonic_us() + GONE_US;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, errno, "%s/lock: %s", dir, strerror(errno));
		ssize_t n = pread(fd, text, sizeof text - 1, 0);
		long group = n > 0 ? strtol(text, NULL, 10) : 0;
		if (clock_monotonic_us() > until)
			return error_set(
				err, EBUSY,
				"%s/lock: a dbt that an earlier mount has started still runs (process group "
				"%ld, as that mount has seen it)",
				dir, group);
		if (process_end_left((pid_t)group, fd))
			log_info(log, "ended a dbt that an earlier mount has left (process group %ld)",
				 group);
		usleep(20000);
	}
	return 0;
}

/* Takes the directory, unless a worker of a living mount has it: 1. With `make` it is made where it is
 * missing; else that is -ENOENT. */
static int enter(struct guest *h, const char *dir, bool make, struct place *place, struct error *err)
{
	int r = make ? make_directory(dir, err) : 0;
	if (r == 0)
		r = place->mount = open_locked(dir, "mount", make ? O_CREAT : 0, err);
	if (r >= 0 && flock(place->mount, LOCK_EX | LOCK_NB) < 0)
		r = errno == EWOULDBLOCK || errno == EINTR
			    ? 1
			    : error_set(err, errno, "%s/mount: %s", dir, strerror(errno));
	else if (r >= 0)
		r = place->hold = open_locked(dir, "lock", O_CREAT, err);
	if (r >= 0 && place->hold >= 0)
		r = end_left(h->config.log, place->hold, dir, err);
	if (r)
		home_leave(place);
	return r;
}

int home_enter(struct guest *h, struct place *place, char **dir, struct error *err)
{
	*place = NO_PLACE;
	*dir = NULL;
	for (int i = 0; i < PLACES_MAX; i++) {
		auto_free char *path = NULL;
		if (asprintf(&path, "%s/%d", h->dir, i) < 0) {
			path = NULL;
			return error_set(err, ENOMEM, "no memory");
		}
		int r = enter(h, path, true, place, err);
		if (r == 0)
			*dir = steal(&path);
		if (r <= 0)
			return r;
	}
	return error_set(err, EMFILE, "%s: more than %d workers run dbt", h->dir, PLACES_MAX);
}

void home_leave(struct place *place)
{
	if (place->hold >= 0)
		close(place->hold);
	if (place->mount >= 0)
		close(place->mount);
	*place = NO_PLACE;
}

int home_end_left(struct guest *h, struct error *err)
{
	int r = 0;
	for (int i = 0; i < PLACES_MAX && r >= 0; i++) {
		auto_strbuf path = STRBUF_INIT;
		struct place place = NO_PLACE;
		strbuf_printf(&path, "%s/%d", h->dir, i);
		struct error why = {0};
		r = enter(h, path.str, false, &place, &why);
		if (r == -ENOENT)
			return 0; /* they are made one after the other */
		if (r < 0 && err)
			*err = why;
		home_leave(&place);
	}
	return r < 0 ? r : 0;
}

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
#include "backend/dbt/process.h"
#include "backend/verdict.h"

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
				 "neither XDG_STATE_HOME nor HOME says where the states are kept: give "
				 "database=FILE");
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

static int find_dbt(struct home *h, const char *command, struct error *err)
{
	auto_free char *dbt = process_find(command);
	if (!dbt || access(dbt, X_OK) < 0)
		return error_set(err, dbt ? errno : ENOENT, "%s: %s; dbt= is the command that runs dbt",
				 command, dbt ? strerror(errno) : "no such command in PATH");
	h->python = interpreter_of(dbt);
	return 0;
}

static int open_home(struct home *h, const struct engine_config *config, struct error *err)
{
	int r = check_project(config, err);
	if (r == 0)
		r = find_dbt(h, config->dbt, err);
	if (r == 0 && config->database)
		h->file = strdup(config->database);
	else if (r == 0)
		r = default_file(config, &h->file, err);
	if (r == 0 && !h->file)
		r = error_set(err, ENOMEM, "no memory");
	return r;
}

int home_open(const struct engine_config *config, struct store **out, struct error *err)
{
	pthread_condattr_t monotonic;
	*out = NULL;
	struct home *h = calloc(1, sizeof *h);
	if (!h)
		return error_set(err, ENOMEM, "no memory");
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&h->free, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int r = open_home(h, config, err);
	struct engine_config own = *config;
	own.database = h->file ? h->file : "";
	int q = queue_init(&h->store, &own, own.database, NULL, r == 0 ? err : NULL);
	if (r == 0)
		r = q;
	if (r == 0)
		r = queue_open(&h->store, err);
	if (r < 0) {
		home_close(&h->store);
		return r;
	}
	*out = &h->store;
	return 0;
}

void home_close(struct store *s)
{
	if (!s)
		return;
	struct home *h = home_of(s);
	queue_put_back(s);
	queue_fini(s);
	pthread_cond_destroy(&h->free);
	free(h->file);
	free(h->python);
	free(h);
}

/* What dbt would do to the table, or would not do, and cannot be told not to. */
static void refuse(const struct model *m, struct store_target *out)
{
	if (m->full_refresh == TRI_TRUE)
		error_set(
			&out->why_not, EOPNOTSUPP,
			"Its config has full_refresh: true, with which dbt drops the table at every run, of a "
			"batch, too; take it out");
	for (const struct need *n = m->needs; n; n = n->next)
		if (n->kind == NEED_OWN_STRATEGY && strcmp(n->text, "get_incremental_microbatch_sql") == 0)
			error_set(
				&out->why_not, EOPNOTSUPP,
				"The macro %s in %s takes the place of dbt's own, and dbt runs such a model at "
				"once and not by batches",
				n->text, n->where);
	out->lasting = out->why_not.err != 0;
}

void home_target(struct store *s, slot model, struct store_target *out)
{
	struct queue_model qm = queue_model_of(s, model);
	/* Whether there is a table only dbt can tell: who reads it waits for its batches, not for it. */
	*out = (struct store_target){.exists = true,
				     .lookable = qm.model && verdict_looks(qm.model),
				     .look = !qm.looked,
				     .event_time_type = TIME_UNKNOWN};
	out->look &= out->lookable;
	if (qm.model)
		refuse(qm.model, out);
}

int home_enlist(struct store *s, const struct model *const *models, struct store_target *targets, size_t n,
		struct error *err)
{
	int r = queue_store.enlist(s, models, targets, n, err);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (models[i])
			home_target(s, (slot)i, &targets[i]);
	return r;
}

int home_load(struct store *s, const struct store_sink *sink, struct error *err)
{
	return queue_store.load(s, sink, err);
}

static int take_place(struct home *h)
{
	LOCKED(&h->store.lock);
	for (int i = 0; i < PLACES_MAX; i++)
		if (!(h->places >> i & 1)) {
			h->places |= UINT64_C(1) << i;
			return i;
		}
	return -EMFILE;
}

/* Whoever holds the lock is no worker of this mount. */
static int end_left(const struct log *log, int fd, const char *path, struct error *err)
{
	char text[16] = "";
	int64_t until = clock_monotonic_us() + GONE_US;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set(err, errno, "%s: %s", path, strerror(errno));
		ssize_t n = pread(fd, text, sizeof text - 1, 0);
		long group = n > 0 ? strtol(text, NULL, 10) : 0;
		if (clock_monotonic_us() > until)
			return error_set(
				err, EBUSY,
				"%s: a dbt that an earlier mount has started still runs (process group "
				"%ld)",
				path, group);
		if (group > 1 && kill((pid_t)-group, SIGKILL) == 0)
			log_info(log, "ended a dbt that an earlier mount has left (process group %ld)",
				 group);
		usleep(20000);
	}
	return 0;
}

int home_enter(struct store *s, int *place, char **dir, int *hold, struct error *err)
{
	struct home *h = home_of(s);
	auto_strbuf path = STRBUF_INIT, lock = STRBUF_INIT;
	auto_fd int fd = -1;
	*hold = -1;
	*dir = NULL;
	*place = take_place(h);
	if (*place < 0)
		return error_set(err, EMFILE, "more than %d workers run dbt", PLACES_MAX);
	strbuf_printf(&path, "%s-dbt/%d", h->file, *place);
	strbuf_printf(&lock, "%s/lock", path.str);
	int r = make_directory(path.str, err);
	if (r == 0 && (fd = open(lock.str, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
		r = error_set(err, errno, "%s: %s", lock.str, strerror(errno));
	if (r == 0)
		r = end_left(s->config.log, fd, lock.str, err);
	*dir = r == 0 ? strbuf_detach(&path) : NULL;
	if (r == 0 && !*dir)
		r = error_set(err, ENOMEM, "no memory");
	if (r < 0) {
		home_leave(s, *place, -1);
		*place = -1;
		return r;
	}
	*hold = fd;
	fd = -1;
	return 0;
}

void home_leave(struct store *s, int place, int hold)
{
	if (hold >= 0)
		close(hold);
	if (place < 0)
		return;
	LOCKED(&s->lock);
	home_of(s)->places &= ~(UINT64_C(1) << place);
}

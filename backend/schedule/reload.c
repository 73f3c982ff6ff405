/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reloader: watches the manifest's file and reads it when it has changed. inotify tells at once; the file
 * is looked at now and then all the same, because a mount of a container, or a network's file system, does
 * not always tell. What was read goes to the control thread, which makes it the current one.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/manifest/watch.h"
#include "backend/models.h"
#include "backend/schedule/reload.h"
#include "backend/schedule/runtime.h"

#define LOOK_MS 500
#define SOON_MS 50

struct reloader {
	struct backend *b;
	struct manifest_watch watch;
	int inotify;	      /* -1: the file is only looked at */
	int directory;	      /* watched; -1: it is not */
	char *path, *adapter; /* NULL: nothing is read again */
	struct error wrong;   /* why the file was no manifest when it was read last */
};

void reloader_wake(struct backend *b)
{
	uint64_t one = 1;
	ssize_t n = write(b->reload_fd, &one, sizeof one);
	(void)n; /* full means that it is readable */
}

void backend_reload(struct backend *b)
{
	{
		LOCKED(&b->lock);
		b->reload_asked = true;
	}
	reloader_wake(b);
}

static bool ended(struct backend *b)
{
	LOCKED(&b->lock);
	return b->control_done;
}

static bool asked(struct backend *b)
{
	LOCKED(&b->lock);
	bool asked = b->reload_asked;
	b->reload_asked = false;
	return asked;
}

static void start(struct reloader *r)
{
	struct backend *b = r->b;
	struct held_catalog *held;
	{
		LOCKED(&b->lock);
		held = models_hold_current(b->models);
	}
	const struct catalog *c = held_catalog(held);
	r->watch.known = r->watch.last = c->stamp;
	r->path = strdup(c->path);
	/* What came through a pipe is gone. */
	r->adapter = S_ISREG(c->stamp.mode) ? strdup(c->adapter_type) : NULL;
	catalog_drop(held);
	r->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r->directory = -1;
}

/* The directory, because the file may be replaced; and again where it was removed and made anew. */
static void watch_directory(struct reloader *r)
{
	const uint32_t events = IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVE | IN_ONLYDIR;
	const char *slash = strrchr(r->path, '/');
	auto_free char *dir = slash ? strndup(r->path, (size_t)(slash - r->path) + 1) : strdup(".");
	if (r->inotify >= 0 && r->directory < 0 && dir)
		r->directory = inotify_add_watch(r->inotify, dir, events);
}

/* What exactly has happened does not matter: the file is looked at. */
static void drain(struct reloader *r)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	ssize_t n;
	while (r->inotify >= 0 && (n = read(r->inotify, events, sizeof events)) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const struct inotify_event *)(events + at);
			if (e->mask & IN_IGNORED)
				r->directory = -1;
			at += (ssize_t)(sizeof *e + e->len);
		}
	uint64_t count;
	ssize_t got = read(r->b->reload_fd, &count, sizeof count);
	(void)got;
}

static void wait_for_news(struct reloader *r, int ms)
{
	struct pollfd fds[] = {{.fd = r->b->reload_fd, .events = POLLIN},
			       {.fd = r->inotify, .events = POLLIN}};
	watch_directory(r);
	poll(fds, r->inotify >= 0 ? 2 : 1, ms);
	drain(r);
}

static void is_wrong(struct reloader *r)
{
	struct backend *b = r->b;
	log_error(b->config.log, "%s; the manifest that was read last stays in force", r->wrong.text);
	LOCKED(&b->lock);
	b->manifest.wrong_at = clock_now_us(b->config.clock);
	b->manifest.wrong = r->wrong;
}

/* Another adapter's relations and SQL are not this engine's. */
static int check_adapter(struct reloader *r, const struct catalog *c)
{
	if (strcmp(c->adapter_type, r->adapter) == 0)
		return 0;
	return error_set(&r->wrong, EINVAL, "%s: made for the adapter %s, and this mount builds with %s",
			 r->path, c->adapter_type, r->adapter);
}

/* Where SQL comes from that the manifest does not have. */
struct memories {
	const struct catalog *current; /* NULL: nothing is in force yet */
	size_t next; /* the one behind what was found last: two manifests have the models in one order */
	const struct known_sql *known; /* NULL: the store was not asked */
};

static const char *recall(void *ctx, const char *unique_id, const char *made_of, int64_t *compiled_at)
{
	struct memories *all = ctx;
	const struct catalog *c = all->current;
	for (size_t i = 0; c && i < c->n_models; i++) {
		size_t at = (all->next + i) % c->n_models;
		const struct model *m = &c->models[at];
		if (!m->compiled || strcmp(m->unique_id, unique_id) != 0 || strcmp(m->made_of, made_of) != 0)
			continue;
		all->next = at + 1;
		*compiled_at = m->compiled_at;
		return m->compiled;
	}
	return all->known ? known_sql_find(all->known, unique_id, made_of, compiled_at) : NULL;
}

int reload_with(struct backend *b, const struct catalog *current, const struct known_sql *known,
		const char *path, struct catalog **out, struct error *err)
{
	struct memories all = {.current = current, .known = known};
	const struct sql_memory memory = {.ctx = &all, .recall = recall};
	return manifest_load_again(path, b->config.log, &memory, out, err);
}

/* With the SQL that is in force where the new manifest comes without; and, where that is not enough, with
 * what the store remembers. */
static int load(struct reloader *r, struct catalog **out)
{
	struct backend *b = r->b;
	struct held_catalog *held;
	struct known_sql known = {0};
	{
		LOCKED(&b->lock);
		held = models_hold_current(b->models);
	}
	int rc = reload_with(b, held_catalog(held), NULL, r->path, out, &r->wrong);
	if (rc == 0 && !b->config.read_only && known_sql_lacking(*out) && known_sql_wait(b, *out, &known) &&
	    known.n) {
		catalog_free(*out);
		rc = reload_with(b, held_catalog(held), &known, r->path, out, &r->wrong);
	}
	known_sql_fini(&known);
	catalog_drop(held);
	return rc;
}

/* Whether there is another one to take over. */
static bool read_again(struct reloader *r)
{
	struct backend *b = r->b;
	struct catalog *c = NULL;
	r->wrong = (struct error){0};
	struct file_stamp before = manifest_stamp(r->path);
	int rc = load(r, &c);
	if (rc == 0)
		rc = check_adapter(r, c);
	struct file_stamp after = manifest_stamp(r->path);
	if (!watch_read(&r->watch, &before, &after, rc == 0, clock_monotonic_us())) {
		catalog_free(c);
		return false;
	}
	struct catalog *overtaken;
	{
		LOCKED(&b->lock);
		overtaken = b->coming;
		b->coming = c;
		b->woken = true;
		control_wake(b);
	}
	catalog_free(overtaken);
	return true;
}

static int look(struct reloader *r)
{
	struct file_stamp now = manifest_stamp(r->path);
	switch (watch_look(&r->watch, &now, clock_monotonic_us())) {
	case WATCH_NOTHING:
		return LOOK_MS;
	case WATCH_SOON:
		return SOON_MS;
	case WATCH_READ:
		read_again(r);
		return SOON_MS;
	case WATCH_BROKEN:
		if (now.err)
			error_set(&r->wrong, now.err, "%s: %s", r->path, strerror(now.err));
		is_wrong(r);
		return LOOK_MS;
	}
	return LOOK_MS;
}

void *reloader_main(void *arg)
{
	struct reloader r = {.b = arg};
	start(&r);
	while (r.path && r.adapter && !ended(r.b)) {
		if (asked(r.b) && !read_again(&r) && r.wrong.err) {
			r.watch.known = r.watch.last;
			is_wrong(&r);
		}
		wait_for_news(&r, look(&r));
	}
	if (r.inotify >= 0)
		close(r.inotify);
	free(r.path);
	free(r.adapter);
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/worker.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "backend/base/log.h"
#include "backend/dbt/resident.h"

/* After a SIGINT dbt ends its queries and its connections; then it is killed. */
#define GRACE_US INT64_C(8000000)
/* The first one may have come before the resident program had a child. */
#define AGAIN_US INT64_C(3000000)
#define TICK_MS	 100
/* A line that is longer is no event. */
#define LINE_MAX_BYTES (64u << 20)

int dbt_worker_open(struct guest *h, const char *lane, struct guest_worker **out, struct error *err)
{
	(void)lane; /* dbt's sessions are known by its own query comment */
	struct guest_worker *w = calloc(1, sizeof *w);
	*out = w;
	if (!w)
		return error_set(err, ENOMEM, "no memory");
	*w = (struct guest_worker){.home = h,
				   .place = NO_PLACE,
				   .process = {.in = -1, .out = -1},
				   .input = STRBUF_INIT,
				   .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
	if (w->wake >= 0)
		return 0;
	*out = NULL;
	free(w);
	return error_set(err, errno, "eventfd: %s", strerror(errno));
}

void dbt_worker_close(struct guest_worker *w)
{
	if (!w)
		return;
	process_reap(&w->process);
	home_leave(&w->place);
	strbuf_fini(&w->input);
	close(w->wake);
	free(w->dir);
	free(w);
}

int dbt_enter(struct guest_worker *w, struct error *err)
{
	uint64_t old;
	LOCKED(&w->home->lock);
	w->busy = true;
	w->stop = false;
	if (read(w->wake, &old, sizeof old) < 0 && errno != EAGAIN)
		return error_set(err, errno, "eventfd: %s", strerror(errno));
	if (w->home->abandoned)
		return error_set(err, ECANCELED, "the mount is ending");
	return 0;
}

void dbt_leave(struct guest_worker *w)
{
	LOCKED(&w->home->lock);
	w->busy = w->stop = false;
}

void dbt_interrupt(struct guest_worker *w)
{
	const uint64_t one = 1;
	LOCKED(&w->home->lock);
	if (!w->busy)
		return;
	w->stop = true;
	/* Full only after 2^64 - 2 of them: then it is readable anyway. */
	if (write(w->wake, &one, sizeof one) < 0)
		return;
}

static bool stopped(struct guest_worker *w)
{
	LOCKED(&w->home->lock);
	return w->stop || w->home->abandoned;
}

int dbt_place(struct guest_worker *w, struct error *err)
{
	return w->dir ? 0 : home_enter(w->home, &w->place, &w->dir, err);
}

/* What one look at the process is for. */
struct pump {
	struct guest_worker *w;
	enum event_kind until; /* this event ends it, or the end of the process */
	event_fn *event;
	void *ctx;
	bool over, kill;
	int64_t code;	 /* of EVENT_ENDED */
	int64_t kill_at; /* monotonic; 0: it was not interrupted */
	bool again;	 /* SIGINT was sent a second time */
};

static void note(struct guest_worker *w, const char *line, size_t len)
{
	while (len && (line[len - 1] == '\r' || line[len - 1] == ' '))
		len--;
	if (!len)
		return;
	log_debug(w->home->config.log, "dbt says: %.*s", (int)(len < 500 ? len : 500), line);
	if (len >= sizeof w->said)
		for (len = sizeof w->said - 1; len && (line[len] & 0xc0) == 0x80;)
			len--;
	memcpy(w->said, line, len);
	w->said[len] = '\0';
}

static void take_line(struct pump *p, const char *line, size_t len)
{
	auto_event e;
	event_parse(line, len, &e);
	if (e.kind == EVENT_GARBAGE)
		note(p->w, line, len);
	else if (e.kind == p->until)
		p->over = true;
	if (e.kind == EVENT_ENDED)
		p->code = e.number;
	if (p->event && e.kind != EVENT_GARBAGE && !p->event(p->ctx, &e))
		p->kill = true;
}

static void take_bytes(struct pump *p, const char *bytes, size_t n)
{
	struct strbuf *in = &p->w->input;
	while (n) {
		const char *end = memchr(bytes, '\n', n);
		size_t len = end ? (size_t)(end - bytes) : n;
		if (in->len + len > LINE_MAX_BYTES)
			strbuf_clear(in);
		strbuf_add(in, bytes, len);
		if (end) {
			take_line(p, in->str, in->len);
			strbuf_clear(in);
		}
		bytes += len + (end != NULL);
		n -= len + (end != NULL);
	}
}

/* Asks it to end, and insists. */
static void press(struct pump *p)
{
	struct process *of = &p->w->process;
	int64_t now = clock_monotonic_us();
	bool leaving = home_abandoned(p->w->home);
	if (p->kill || leaving || (p->kill_at && now >= p->kill_at)) {
		process_signal(of, SIGKILL);
	} else if (!p->kill_at && stopped(p->w)) {
		p->kill_at = now + GRACE_US;
		process_signal(of, SIGINT);
	} else if (p->kill_at && !p->again && now >= p->kill_at - GRACE_US + AGAIN_US) {
		p->again = true;
		process_signal(of, SIGINT);
	}
}

/* Until the event has come: true; false: the process has ended, or has closed its output. */
static bool pump(struct pump *p)
{
	struct guest_worker *w = p->w;
	char bytes[65536];
	while (!p->over) {
		struct pollfd fds[2] = {{.fd = w->process.out, .events = POLLIN},
					{.fd = p->kill_at ? -1 : w->wake, .events = POLLIN}};
		press(p);
		poll(fds, 2, TICK_MS);
		if (fds[0].revents) {
			ssize_t n = read(w->process.out, bytes, sizeof bytes);
			if (n > 0)
				take_bytes(p, bytes, (size_t)n);
			else if (n == 0 || errno != EINTR)
				break;
		} else if (process_ended(&w->process)) {
			break; /* what it has left running holds the pipe */
		}
	}
	if (!p->over && w->input.len)
		take_bytes(p, "\n", 1);
	return p->over;
}

/* One dbt at a time has the file. */
static const char *const exclusive[] = {"duckdb"};

static bool is_exclusive(const struct model *m)
{
	for (size_t i = 0; m->catalog && i < sizeof exclusive / sizeof *exclusive; i++)
		if (strcmp(m->catalog->adapter_type, exclusive[i]) == 0)
			return true;
	return false;
}

static bool take_turn(struct guest_worker *w, const struct model *m)
{
	struct guest *h = w->home;
	if (!is_exclusive(m))
		return true;
	LOCKED(&h->lock);
	while (h->taken && !w->stop && !h->abandoned) {
		struct timespec until = clock_moment_in(TICK_MS * 1000);
		pthread_cond_timedwait(&h->free, &h->lock, &until);
	}
	if (h->taken || w->stop || h->abandoned)
		return false;
	h->taken = true;
	return true;
}

static void give_turn(struct guest_worker *w, const struct model *m)
{
	struct guest *h = w->home;
	if (!is_exclusive(m))
		return;
	LOCKED(&h->lock);
	h->taken = false;
	pthread_cond_broadcast(&h->free);
}

static int start(struct guest_worker *w, const char *const *argv, bool input, struct error *err)
{
	const struct process_plan plan = {
		.argv = argv, .cwd = w->home->config.project, .hold = w->place.hold, .input = input};
	strbuf_clear(&w->input);
	return process_start(&plan, &w->process, err);
}

/* True: it waits for a command. */
static bool start_resident(struct guest_worker *w)
{
	struct error err = {0};
	auto_words words;
	words_parse(&words, &w->home->config, w->dir);
	auto_free char *warm = words.broken ? NULL : words_json(&words);
	const char *const argv[] = {w->home->python, "-c", RESIDENT_PROGRAM, warm, NULL};
	struct pump p = {.w = w, .until = EVENT_READY};
	if (!warm)
		return false;
	int r = start(w, argv, true, &err);
	if (r == 0 && pump(&p))
		return true;
	process_reap(&w->process);
	if (p.kill_at || stopped(w))
		return false;
	w->no_resident = true;
	log_warning(w->home->config.log,
		    "dbt cannot stay resident, and its command is started for each run: %s",
		    r < 0 ? err.text : w->said);
	return false;
}

/* The resident program is there, and was told what to do. */
static bool tell_resident(struct guest_worker *w, const struct words *words)
{
	auto_free char *line = words->broken ? NULL : words_json(words);
	if (!line || !w->home->python || w->no_resident)
		return false;
	if (w->process.pid && process_ended(&w->process))
		process_reap(&w->process);
	if (!w->process.pid && !start_resident(w))
		return false;
	/* Less than a pipe holds, which is empty. */
	size_t len = strlen(line);
	line[len] = '\n';
	if (len < 60000 && write(w->process.in, line, len + 1) == (ssize_t)len + 1)
		return true;
	process_reap(&w->process);
	return false;
}

static int run(struct guest_worker *w, struct invocation *i, struct error *err)
{
	struct pump p = {.w = w, .event = i->event, .ctx = i->ctx, .until = EVENT_ENDED};
	*w->said = '\0';
	bool resident = tell_resident(w, i->words);
	if (stopped(w)) {
		process_reap(&w->process);
		i->interrupted = true;
		return 0;
	}
	*w->said = '\0';
	int r = resident ? 0 : start(w, (const char *const *)i->words->list, false, err);
	if (r < 0)
		return r;
	if (!resident)
		p.until = EVENT_GARBAGE; /* never: it ends with the process */
	bool over = pump(&p);
	i->code = over ? (int)p.code : process_reap(&w->process);
	i->interrupted = p.kill_at || (stopped(w) && i->code != 0);
	return 0;
}

int dbt_invoke(struct guest_worker *w, struct invocation *i, struct error *err)
{
	i->interrupted = false;
	i->code = 0;
	int r = dbt_place(w, err);
	if (r < 0)
		return r;
	if (i->words->broken)
		return error_set(err, ENOMEM, "no memory");
	if (!take_turn(w, i->m)) {
		i->interrupted = true;
		return 0;
	}
	r = run(w, i, err);
	give_turn(w, i->m);
	return r;
}

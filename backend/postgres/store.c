/* SPDX-License-Identifier: Apache-2.0 */
/* A store's life and its control connection. */
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "backend/postgres/schema.h"
#include "backend/postgres/sql.h"

#define BACKOFF_FIRST_US   100000
#define BACKOFF_LONGEST_US 2000000
/* close() after abandon(): how long putting back what was running may take. */
#define LAST_WORDS_US 2000000

int64_t pg_deadline(const struct store *s)
{
	return clock_monotonic_us() + (int64_t)s->config->timeout_s * 1000000;
}

int64_t pg_random_id(void)
{
	int64_t id = 0;
	while (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id || (id &= INT64_MAX) == 0)
		;
	return id;
}

void store_changed(struct store *s)
{
	LOCKED(&s->lock);
	if (s->changed)
		return;
	s->changed = true;
	/* follow() may be asleep for longer than a notice may wait. */
	uint64_t one = 1;
	ssize_t put = write(s->wake_fd, &one, sizeof one);
	(void)put; /* full means that it is readable */
}

struct id_index store_slot(struct store *s, int64_t id)
{
	LOCKED(&s->lock);
	size_t low = 0, high = s->n_ids;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->by_id[mid].id == id)
			return s->by_id[mid];
		if (s->by_id[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return (struct id_index){0};
}

#define LISTEN	      "listen batchfs"
#define LOOK_AGAIN_US 50000

static int settle_doubts(struct store *s, struct error *err)
{
	while (s->doubts) {
		struct pg_doubt *d = s->doubts;
		struct pg_params all = {0};
		pg_param_time(&all, d->started);
		pg_param_int(&all, s->owner);
		pg_param_int(&all, d->id);
		auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
		store_begin(s, &p);
		pg_add(&p, SQL_PUT_BACK_CLAIM, &all);
		pg_add(&p, "commit", NULL);
		int r = store_run(s, &p, err);
		if (r)
			return r;
		s->doubts = d->next;
		free(d);
	}
	return 0;
}

/* Without locks, each of several mounts would take the others for dead, and their batches from them. */
static int check_held(struct store *s, const struct pg_params *session, struct error *err)
{
	auto_result *held = NULL;
	int r = pg_query(&s->control, pg_deadline(s), SQL_LIVE_HELD, session, &held, err);
	if (!r && !pg_bool(held, 0, 0))
		r = error_set(err, ENOTSUP,
			      "the server's advisory locks hold nothing (it grants them, and pg_locks shows "
			      "none), and by them mounts know that others live: it is no PostgreSQL, or a "
			      "proxy stands before it");
	return r;
}

static int take_liveness(struct store *s, struct error *err)
{
	struct pg_params session = {0}, owner = {0};
	pg_param_int(&session, s->session);
	pg_param_int(&owner, s->owner);
	pg_param_int(&owner, s->session);
	pg_param_text(&owner, s->codes);
	pg_param_text(&owner, s->begins);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	auto_result *locked = NULL;
	int r = pg_query(&s->control, p.deadline, SQL_LIVE_LOCK, &session, &locked, err);
	if (r || (r = check_held(s, &session, err)))
		return r;
	store_begin(s, &p);
	pg_add(&p, SQL_LIVE_ROW, &owner);
	pg_add(&p, "commit", NULL);
	return store_run(s, &p, err);
}

static void end_session(struct store *s, int64_t pid, int64_t until)
{
	struct pg_params params = {0};
	pg_param_int(&params, pid);
	auto_pipe p = PG_PIPE(&s->control, until);
	p.tolerant = true; /* a role that may not: the server misses the client by itself */
	pg_add(&p, SQL_END_SESSION, &params);
	pg_run(&p, NULL);
}

static int end_old_sessions(struct store *s, struct error *err)
{
	int64_t until = pg_deadline(s);
	for (;;) {
		auto_result *old = NULL;
		int r = pg_query(&s->control, until, SQL_OLD_SESSIONS, NULL, &old, err);
		if (r || PQntuples(old) == 0)
			return r;
		for (int i = 0; i < PQntuples(old) && s->control.pq; i++)
			end_session(s, pg_int(old, i, 0), until);
		int64_t again = clock_monotonic_us() + LOOK_AGAIN_US;
		if (!s->control.pq || again > until)
			return error_set(err, EHOSTUNREACH,
					 "the server still holds on to a lost session of this mount");
		if (pg_pause(s->abandon_fd, again))
			return error_set(err, ECANCELED, "the warehouse has been given up");
	}
}

static int get_ready(struct store *s, struct error *err)
{
	if (!s->schema || s->ready == s->control.generation)
		return 0;
	unsigned lives = home_lives(&s->home);
	if (s->lives != lives)
		log_warning(
			s->config->log,
			"the server has begun another life or is another one (%s): all states are read anew",
			s->control.server);
	s->anew |= s->lives != lives;
	s->lives = lives;
	int64_t *sessions = reallocarray(s->sessions, s->n_sessions + 1, sizeof *sessions);
	if (!sessions)
		return error_set(err, ENOMEM, "no memory for a session");
	s->sessions = sessions;
	s->session = s->sessions[s->n_sessions++] = pg_random_id();
	auto_result *listening = NULL;
	int r = pg_query(&s->control, pg_deadline(s), LISTEN, NULL, &listening, err);
	if (!r && !s->config->read_only)
		r = take_liveness(s, err);
	if (!r && !s->config->read_only)
		r = end_old_sessions(s, err);
	if (!r && !s->config->read_only)
		r = planned_prepare(s, err);
	if (!r)
		r = settle_doubts(s, err);
	if (r) {
		pg_disconnect(&s->control);
		return r == -ETIMEDOUT ? error_set(err, EHOSTUNREACH, "the warehouse does not answer") : r;
	}
	s->ready = s->control.generation;
	s->notified = true;
	return 0;
}

int store_connect(struct store *s, bool now, struct error *err)
{
	int64_t at = clock_monotonic_us();
	if (!s->control.pq && !now && at < s->retry_at) {
		if (err)
			*err = s->refused;
		return -s->refused.err;
	}
	struct error why = {0};
	int r = -EAGAIN;
	/* Another schema shows when we say that we live: then it is met, and we say so there. */
	for (int i = 0; i < 2 && r == -EAGAIN; i++) {
		r = pg_connect(&s->control, pg_deadline(s), &why);
		if (!r && s->strange)
			r = schema_again(s, &why);
		if (!r)
			r = get_ready(s, &why);
	}
	if (!r) {
		s->backoff = 0;
		return 0;
	}
	s->backoff = s->backoff ? 2 * s->backoff : BACKOFF_FIRST_US;
	if (s->backoff > BACKOFF_LONGEST_US)
		s->backoff = BACKOFF_LONGEST_US;
	s->retry_at = clock_monotonic_us() + s->backoff;
	s->refused = why;
	if (err)
		*err = why;
	return r;
}

static int open_store(struct store *s, struct error *err)
{
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->abandon_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake_fd < 0 || s->abandon_fd < 0)
		return error_set(err, errno, "no eventfd: %m");
	s->control = (struct pg_conn){.config = s->config,
				      .purpose = "control",
				      .owner = s->owner,
				      .home = &s->home,
				      .leads = true,
				      .abandon_fd = s->abandon_fd};
	int r = pg_connect(&s->control, pg_deadline(s), err);
	if (!r)
		r = schema_open(s, err);
	return r ? r : store_connect(s, true, err);
}

int pg_open(const struct engine_config *config, struct store **out, struct error *err)
{
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return error_set(err, ENOMEM, "no memory for a warehouse");
	*out = s;
	s->config = config;
	s->owner = pg_random_id();
	s->wake_fd = s->abandon_fd = -1;
	pthread_mutex_init(&s->telling, NULL);
	pthread_mutex_init(&s->lock, NULL);
	home_init(&s->home);
	return open_store(s, err);
}

static void put_back(struct store *s)
{
	uint64_t count;
	ssize_t got = read(s->abandon_fd, &count, sizeof count);
	(void)got; /* nothing to read: it was not abandoned */
	int64_t until = clock_monotonic_us() + LAST_WORDS_US;
	if (!s->schema || s->config->read_only || pg_connect(&s->control, until, NULL))
		return;
	struct pg_params owner = {0}, back = {0};
	pg_param_int(&owner, s->owner);
	pg_param_time(&back, clock_now_us(s->config->clock));
	pg_param_int(&back, s->owner);
	auto_pipe p = PG_PIPE(&s->control, until);
	store_begin(s, &p);
	if (s->claimed)
		pg_add(&p, SQL_PUT_BACK, &back);
	pg_add(&p, SQL_LIVE_NO_MORE, &owner);
	pg_add(&p, "commit", NULL);
	struct error err = {0};
	if (store_run(s, &p, &err))
		log_warning(s->config->log, "what was running here will be found interrupted: %s", err.text);
}

static void free_models(struct store *s)
{
	for (size_t i = 0; i < s->n; i++)
		model_put(s->models[i]);
	free(s->models);
	free(s->by_id);
	free(s->sessions);
	free(s->codes);
	free(s->begins);
	free(s->own);
	free(s->met);
}

void pg_close(struct store *s)
{
	if (!s)
		return;
	if (s->abandon_fd >= 0)
		put_back(s);
	pg_disconnect(&s->control);
	free_models(s);
	for (struct pg_doubt *d = s->doubts, *next; d; d = next) {
		next = d->next;
		free(d);
	}
	free(s->cursor);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	if (s->abandon_fd >= 0)
		close(s->abandon_fd);
	home_fini(&s->home);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->telling);
	free(s);
}

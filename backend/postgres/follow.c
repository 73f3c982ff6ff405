/* SPDX-License-Identifier: Apache-2.0 */
/*
 * News from other mounts. What was committed since is found by its transaction id and
 * the snapshot of the look before: a sequence or a time would miss what commits out of order.
 */
#include <poll.h>
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/refresh.h"
#include "backend/postgres/sql.h"
#include "backend/postgres/validations.h"

#define POLL_US	  1000000
#define SWEEP_US  1000000
#define NOTICE_US 100000

static void drain(int fd)
{
	uint64_t count;
	ssize_t got = read(fd, &count, sizeof count);
	(void)got; /* nothing to drain is fine */
}

/* Takes what the server has sent unasked. */
static int take_notices(struct store *s)
{
	if (!PQconsumeInput(s->control.pq))
		return -ECONNRESET;
	PGnotify *n;
	while ((n = PQnotifies(s->control.pq))) {
		if (n->be_pid != PQbackendPID(s->control.pq))
			s->notified = true;
		PQfreemem(n);
	}
	return 0;
}

/* A model that somebody has adopted: everything anew. */
static int report_adopted(struct store *s, const PGresult *models, const struct store_sink *sink,
			  struct error *err)
{
	if (PQntuples(models) == 0)
		return 0;
	auto_strbuf ids = STRBUF_INIT;
	for (int i = 0; i < PQntuples(models); i++)
		pg_array_int(&ids, pg_int(models, i, 0));
	pg_array_end(&ids);
	if (strbuf_broken(&ids))
		return error_set(err, ENOMEM, "no memory for news");
	struct pg_params params = {0};
	pg_param_text(&params, ids.str);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	store_begin_snapshot(s, &p);
	size_t asked = pg_add(&p, SQL_ADOPTED_REQUESTS, &params);
	size_t found = pg_add(&p, SQL_ADOPTED_STATES, &params);
	pg_add(&p, "commit", NULL);
	int r = store_run(s, &p, err);
	if (r)
		return r;
	for (int i = 0; i < PQntuples(models); i++) {
		struct id_index m = store_slot(s, pg_int(models, i, 0));
		if (m.id)
			sink->forget(sink->ctx, m.index);
	}
	report_requests(s, p.results[asked], sink);
	report_states(s, p.results[found], sink, true);
	for (int i = 0; i < PQntuples(models); i++) {
		struct id_index m = store_slot(s, pg_int(models, i, 0));
		if (m.id)
			sink->told(sink->ctx, m.index);
	}
	return 0;
}

static void report_answered(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	for (int row = 0; row < PQntuples(r); row++) {
		struct id_index m = store_slot(s, pg_int(r, row, 0));
		if (m.id)
			sink->answered(sink->ctx, m.index, calendar_ordinal(m.size, pg_time(r, row, 1)),
				       (uint32_t)pg_int(r, row, 3), pg_int(r, row, 2));
	}
}

static void report_answered_ranges(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	for (int row = 0; row < PQntuples(r); row++) {
		struct id_index m = store_slot(s, pg_int(r, row, 0));
		if (!m.id)
			continue;
		ordinal end = calendar_ceil(m.size, pg_time(r, row, 2));
		for (ordinal b = calendar_ordinal(m.size, pg_time(r, row, 1)); b < end; b++)
			sink->answered(sink->ctx, m.index, b, 0, pg_int(r, row, 3));
	}
}

static int read_news(struct store *s, const struct store_sink *sink, struct error *err)
{
	struct pg_params params = {0};
	pg_param_text(&params, s->cursor);
	pg_param_int(&params, s->owner);
	pg_param_int(&params, s->session);
	LOCKED(&s->telling);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	store_begin_snapshot(s, &p);
	size_t snapshot = pg_add(&p, SQL_SNAPSHOT, NULL);
	size_t frozen = pg_add(&p, SQL_FOLLOW_FREEZES, &params);
	size_t asked = pg_add(&p, SQL_FOLLOW_REQUESTS, &params);
	size_t answered = pg_add(&p, SQL_FOLLOW_ANSWERED, &params);
	size_t ranges = pg_add(&p, SQL_FOLLOW_ANSWERED_RANGES, &params);
	size_t answers = pg_add(&p, SQL_FOLLOW_ANSWERS, &params);
	size_t refreshes = pg_add(&p, SQL_FOLLOW_REFRESHES, &params);
	size_t touched = pg_add(&p, SQL_FOLLOW_STATES, &params);
	size_t adopted = pg_add(&p, SQL_FOLLOW_ADOPTED, &params);
	size_t validations = pg_add(&p, SQL_FOLLOW_VALIDATIONS, &params);
	pg_add(&p, "commit", NULL);
	int r = store_run(s, &p, err);
	if (r)
		return r;
	char *cursor = strdup(pg_text(p.results[snapshot], 0, 0));
	if (!cursor)
		return error_set(err, ENOMEM, "no memory for news");
	r = report_freezes(s, p.results[frozen], sink, err);
	report_requests(s, p.results[asked], sink);
	report_known(s, p.results[asked], 2, 1, 0, sink);
	report_answered(s, p.results[answered], sink);
	report_answered_ranges(s, p.results[ranges], sink);
	report_refreshes(s, p.results[refreshes], sink);
	report_answers(s, p.results[answers], sink);
	report_states(s, p.results[touched], sink, true);
	if (!r)
		r = report_adopted(s, p.results[adopted], sink, err);
	report_validations(s, p.results[validations], sink);
	/* After a failure the same news come again. */
	if (r)
		free(cursor);
	else {
		free(s->cursor);
		s->cursor = cursor;
	}
	return r;
}

/* Attempts that are too many are forgotten: with half an hour to spare for commits that took long. */
static int read_all_news(struct store *s, const struct store_sink *sink, struct error *err)
{
	int64_t now = clock_now_us(s->config->clock);
	bool late = now - s->read_at > FEED_AGE_US / 2;
	int r = read_news(s, sink, err);
	/* After the news: an adoption among them has voided what was known. */
	if (!r && late)
		r = load_again(s, sink, err);
	if (!r)
		s->read_at = now;
	return r;
}

/* One notice for everything that was committed here in the last 100 ms, never inside a batch's transaction.
 */
static int give_notice(struct store *s, int64_t now, int64_t *next, struct error *err)
{
	{
		LOCKED(&s->lock);
		if (!s->changed)
			return 0;
		if (now < s->noticed_at + NOTICE_US) {
			if (*next > s->noticed_at + NOTICE_US)
				*next = s->noticed_at + NOTICE_US;
			return 0;
		}
		s->changed = false;
	}
	s->noticed_at = now;
	auto_result *sent = NULL;
	return pg_query(&s->control, pg_deadline(s), "notify batchfs", NULL, &sent, err);
}

void add_notice(struct store *s, struct pg_pipe *p)
{
	int64_t now = clock_monotonic_us();
	if (now < s->noticed_at + NOTICE_US)
		return;
	{
		LOCKED(&s->lock);
		s->changed = false;
	}
	s->noticed_at = now;
	pg_add_sync(p);
	pg_add(p, "notify batchfs", NULL);
}

/* Does what is due; *next: when something will be. *reported: others may have done something. */
static int do_due(struct store *s, const struct store_sink *sink, int64_t *next, bool *reported,
		  struct error *err)
{
	int64_t now = clock_monotonic_us();
	int r = take_notices(s);
	if (r) {
		pg_disconnect(&s->control);
		return error_sql(err, ETIMEDOUT, "08006", "the connection to the warehouse was lost");
	}
	r = s->config->read_only ? 0 : give_notice(s, now, next, err);
	if (!r && !s->config->read_only && now >= s->swept_at + SWEEP_US) {
		s->swept_at = now;
		r = sweep(s, sink, reported, err);
		if (!r)
			r = own_check(s, sink, err);
	}
	if (!r && s->cursor && (s->notified || now >= s->polled_at + POLL_US)) {
		s->polled_at = now;
		*reported |= s->notified;
		s->notified = false;
		r = read_all_news(s, sink, err);
		s->notified |= r != 0;
	}
	if (s->cursor && *next > s->polled_at + POLL_US)
		*next = s->polled_at + POLL_US;
	return r;
}

/* 0: something is due; 1: woken; -ECANCELED. */
static int listen_until(struct store *s, int64_t until)
{
	int64_t now = clock_monotonic_us();
	int ms = until <= now ? 0 : (int)((until - now + 999) / 1000);
	struct pollfd fds[3] = {
		{.fd = s->abandon_fd, .events = POLLIN},
		{.fd = s->wake_fd, .events = POLLIN},
		{.fd = s->control.pq ? PQsocket(s->control.pq) : -1, .events = POLLIN},
	};
	int n = poll(fds, 3, ms);
	if (n > 0 && fds[0].revents)
		return -ECANCELED;
	if (n > 0 && fds[1].revents) {
		drain(s->wake_fd);
		return 1;
	}
	return 0;
}

static int given_up(struct error *err)
{
	return error_set(err, ECANCELED, "the warehouse has been given up");
}

int pg_follow(struct store *s, int timeout_ms, const struct store_sink *sink, struct error *err)
{
	int64_t end = clock_monotonic_us() + (int64_t)timeout_ms * 1000;
	for (;;) {
		int r = store_connect(s, false, err);
		if (r) {
			int64_t until = s->retry_at < end ? s->retry_at : end;
			return listen_until(s, until) == -ECANCELED ? given_up(err) : r;
		}
		if (s->anew)
			r = states_anew(s, sink, err);
		if (r)
			return r;
		int64_t next = end;
		bool reported = false;
		r = s->schema ? do_due(s, sink, &next, &reported, err) : 0;
		if (!r)
			r = targets_follow(s, sink, &next, err);
		if (r)
			return r;
		r = listen_until(s, reported ? 0 : next);
		if (r < 0)
			return given_up(err);
		if (r > 0 || reported || clock_monotonic_us() >= end)
			return 0;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * News from other mounts. What was committed since is found by its transaction id and
 * the snapshot of the look before: a sequence or a time would miss what commits out of order.
 */
#include <poll.h>
#include <string.h>

#include "backend/postgres/pgstore.h"
#include "backend/postgres/sql.h"

#define POLL_US	  1000000
#define SWEEP_US  1000000
#define NOTICE_US 100000

#define SNAPSHOT "select pg_catalog.pg_current_snapshot()::text"
/* Of batchfs.attempt or batchfs.request x. Ours is known here; what an older session of ours left may not be.
 */
#define SINCE                                                                                                \
	" x.xid >= pg_catalog.pg_snapshot_xmin($1::pg_snapshot)"                                             \
	" and not pg_catalog.pg_visible_in_snapshot(x.xid, $1::pg_snapshot)"
#define OTHERS	" x.origin <> $2::bigint and x.origin <> $3::bigint "
#define NEWS	SINCE " and" OTHERS
#define ADOPTED "select distinct x.model from batchfs.attempt x where x.window_start is null and " NEWS
/* The states that the news are about. */
#define TOUCHED                                                                                              \
	" from (select x.model, x.window_start, coalesce(x.last_start, x.window_start) as last,"             \
	" bool_or(x.outcome = 'cancelled') as cancelled"                                                     \
	" from batchfs.attempt x where x.window_start is not null and " NEWS " group by 1, 2, 3) a"          \
	" join batchfs.state s on s.model = a.model"                                                         \
	" and s.window_start >= a.window_start and s.window_start <= a.last "
/* All that is frozen of the models of which somebody has frozen, thawed, protected something. */
#define FREEZES                                                                                              \
	" from (select distinct x.model as id from batchfs.request x where x.kind in"                        \
	" ('freeze', 'thaw', 'protect', 'unprotect') and " NEWS ") m"                                        \
	" left join batchfs.freeze f on f.model = m.id order by m.id, f.first_start"
/* Our own cancels again: what others had asked for before them is known only now. */
#define REQUESTS                                                                                             \
	" from batchfs.request r where r.id in (select x.id from batchfs.request x where x.kind in "         \
	"('build', 'cancel') and" SINCE " and (x.kind = 'cancel' or" OTHERS ")"                              \
	" union all select s.request" TOUCHED ") order by r.id"
/* A claim answers every request committed before it, those too that had not come to its mount yet. Of what
 * still runs or was put back the end tells. */
#define ANSWERED                                                                                             \
	"select s.model, s.window_start, s.served, s.attempt from batchfs.request x join batchfs.state s"    \
	" on s.model = x.model and s.window_start >= x.first_start and s.window_start < x.end_start"         \
	" where x.open and x.kind = 'build' and s.served >= x.seq and" NEWS
#define OF_ADOPTED " from batchfs.state s where s.model = any ($1::int[])"
#define OF_ADOPTED_REQUESTS                                                                                  \
	" from batchfs.request r where r.id in (select s.request" OF_ADOPTED ") order by r.id"

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
	auto_strbuf ids = STRBUF_INIT, states = STRBUF_INIT, requests = STRBUF_INIT;
	for (int i = 0; i < PQntuples(models); i++)
		pg_array_int(&ids, pg_int(models, i, 0));
	pg_array_end(&ids);
	strbuf_printf(&requests, "select %s" OF_ADOPTED_REQUESTS, SQL_REQUEST_COLUMNS);
	strbuf_printf(&states, "select %s" OF_ADOPTED, SQL_STATE_COLUMNS);
	if (strbuf_broken(&ids) || strbuf_broken(&states) || strbuf_broken(&requests))
		return error_set(err, ENOMEM, "no memory for news");
	struct pg_params params = {0};
	pg_param_text(&params, ids.str);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_add_begin_snapshot(&p);
	size_t asked = pg_add(&p, requests.str, &params);
	size_t found = pg_add(&p, states.str, &params);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (r)
		return r;
	for (int i = 0; i < PQntuples(models); i++) {
		const struct pg_model *m = store_model(s, (int)pg_int(models, i, 0));
		if (m)
			sink->forget(sink->ctx, m->index);
	}
	report_requests(s, p.results[asked], sink);
	report_states(s, p.results[found], sink, true);
	return 0;
}

static void report_answered(struct store *s, const PGresult *r, const struct store_sink *sink)
{
	for (int row = 0; row < PQntuples(r); row++) {
		const struct pg_model *m = store_model(s, (int)pg_int(r, row, 0));
		if (m)
			sink->answered(sink->ctx, m->index,
				       calendar_ordinal(m->model->batch_size, pg_time(r, row, 1)),
				       (uint32_t)pg_int(r, row, 3), pg_int(r, row, 2));
	}
}

static int read_news(struct store *s, const struct store_sink *sink, struct error *err)
{
	auto_strbuf freezes = STRBUF_INIT, states = STRBUF_INIT, requests = STRBUF_INIT;
	strbuf_printf(&freezes, "select %s" FREEZES, freeze_columns);
	strbuf_printf(&requests, "select %s" REQUESTS, SQL_REQUEST_COLUMNS);
	strbuf_printf(&states, "select %s, a.cancelled" TOUCHED, SQL_STATE_COLUMNS);
	if (strbuf_broken(&freezes) || strbuf_broken(&states) || strbuf_broken(&requests))
		return error_set(err, ENOMEM, "no memory for news");
	struct pg_params params = {0};
	pg_param_text(&params, s->cursor);
	pg_param_int(&params, s->owner);
	pg_param_int(&params, s->session);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_add_begin_snapshot(&p);
	size_t snapshot = pg_add(&p, SNAPSHOT, NULL);
	size_t frozen = pg_add(&p, freezes.str, &params);
	size_t asked = pg_add(&p, requests.str, &params);
	size_t answered = pg_add(&p, ANSWERED, &params);
	size_t touched = pg_add(&p, states.str, &params);
	size_t adopted = pg_add(&p, ADOPTED, &params);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (r)
		return r;
	char *cursor = strdup(pg_text(p.results[snapshot], 0, 0));
	if (!cursor)
		return error_set(err, ENOMEM, "no memory for news");
	r = report_freezes(s, p.results[frozen], sink, err);
	report_requests(s, p.results[asked], sink);
	report_answered(s, p.results[answered], sink);
	report_states(s, p.results[touched], sink, true);
	if (!r)
		r = report_adopted(s, p.results[adopted], sink, err);
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
		int64_t next = end;
		bool reported = false;
		r = s->schema ? do_due(s, sink, &next, &reported, err) : 0;
		if (r)
			return r;
		r = listen_until(s, reported ? 0 : next);
		if (r < 0)
			return given_up(err);
		if (r > 0 || reported || clock_monotonic_us() >= end)
			return 0;
	}
}

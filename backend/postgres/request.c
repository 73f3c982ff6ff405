/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: all in one commit, each a row of its own, told apart by their uuids. */
#include <string.h>

#include "backend/batch_state.h"
#include "backend/freeze.h"
#include "backend/postgres/pgstore.h"

#define AGAIN_US   100000
#define REASON_MAX 4096

/* In the order of their ids, so that two mounts never wait for each other; what follows sees the commits
 * of those that were waited for. With this lock the order of seq is the order of the commits. */
#define LOCK_MODELS "select from batchfs.model where id = any ($1::int[]) order by id for update"

/* The words that RECORD compares with. */
static const char *const expected_words[BATCH_STATES] = {
	[BATCH_RUNNING] = "running", [BATCH_QUEUED] = "queued",	  [BATCH_FAILED] = "failed",
	[BATCH_SKIPPED] = "skipped", [BATCH_PENDING] = "pending", [BATCH_PARTIAL] = "partial",
	[BATCH_STALE] = "stale",     [BATCH_DONE] = "done",
};

/*
 * $12 is what the batch must still be: '' anything, 'running', 'queued', or idle with an outcome.
 * queued: put back, or an open request wants it that it was not built for.
 */
#define RECORD                                                                                               \
	"with old as (select r.id, r.seq from batchfs.request r where r.uuid = $1::uuid),"                   \
	" now as (select coalesce(s.run, 0) as run, coalesce(s.outcome, 0) as outcome,"                      \
	" coalesce(s.attempt, 0) as attempt, coalesce(s.run, 0) = 2 or exists (select from batchfs.request " \
	"r"                                                                                                  \
	" where r.model = $2::int and r.open and r.first_start <= $3::timestamptz"                           \
	" and r.end_start > $3::timestamptz and r.kind = 'build' and r.seq > coalesce(s.served, 0)) as "     \
	"queued"                                                                                             \
	" from (select $2::int as model, $3::timestamptz as window_start) w"                                 \
	" left join batchfs.state s using (model, window_start)),"                                           \
	" frozen as (select f.uid, f.command, f.at from batchfs.freeze f where $14::boolean"                 \
	" and f.model = $2::int and f.first_start <= $3::timestamptz and f.end_start > $3::timestamptz"      \
	" and not exists (select from old)),"                                                                \
	" granted as (select from now where not exists (select from old) and not exists (select from "       \
	"frozen)"                                                                                            \
	" and ($12 = '' or attempt = $13::int and"                                                           \
	" case $12 when 'running' then run = 1 when 'queued' then run <> 1 and queued"                       \
	" when 'failed' then run = 0 and not queued and outcome = 2"                                         \
	" when 'skipped' then run = 0 and not queued and outcome = 3"                                        \
	" when 'pending' then run = 0 and not queued and outcome = 0"                                        \
	" else run = 0 and not queued and outcome = 1 end)),"                                                \
	" bumped as (update batchfs.model m set seq = m.seq + 1 from granted where m.id = $2::int "          \
	"returning m.seq),"                                                                                  \
	" new as (insert into batchfs.request (uuid, model, seq, kind, first_start, end_start, expected, "   \
	"uid, command,"                                                                                      \
	" reason, code, at, origin) select $1::uuid, $2::int, b.seq, $15, $3::timestamptz, "                 \
	"$4::timestamptz,"                                                                                   \
	" nullif($12, ''), $5::bigint, $6, $7, $8, $9::timestamptz, $10::bigint from bumped b returning "    \
	"id, seq)"                                                                                           \
	" select id, seq, $11::bigint, null, null::timestamptz from old union all"                           \
	" select id, seq, $11::bigint, null, null from new union all"                                        \
	" select null, null, uid, command, at from frozen"

#define GIVE_REASON                                                                                          \
	"update batchfs.request set reason = $2, xid = pg_catalog.pg_current_xact_id(), origin = $3::bigint" \
	" where uuid = $1::uuid returning id, seq"

static void format_uuid(const unsigned char *uuid, char *text)
{
	static const char hex[] = "0123456789abcdef";
	for (int i = 0; i < 16; i++) {
		*text++ = hex[uuid[i] >> 4];
		*text++ = hex[uuid[i] & 15];
	}
	*text = '\0';
}

/* Whether RECORD makes its row. */
static bool has_row(enum request_kind kind)
{
	return kind == REQUEST_BUILD || kind == REQUEST_CANCEL;
}

static void add_row(struct store *s, struct pg_pipe *p, const struct store_request *q, const char *uuid,
		    const char *command, const char *reason)
{
	const struct pg_model *m = &s->models[q->model];
	enum batch_size size = m->model->batch_size;
	struct pg_params v = {0};
	pg_param_text(&v, uuid);
	pg_param_int(&v, m->id);
	pg_param_time(&v, calendar_start(size, q->batches.first));
	pg_param_time(&v, calendar_start(size, q->batches.end));
	pg_param_int(&v, q->uid);
	pg_param_text(&v, command);
	pg_param_text(&v, reason);
	pg_param_text(&v, m->model->code);
	pg_param_time(&v, q->at);
	pg_param_int(&v, s->session);
	pg_param_int(&v, 0);
	pg_param_text(&v, q->expected < 0 ? "" : expected_words[q->expected]);
	pg_param_int(&v, q->expected_attempt);
	pg_param_text(&v, q->named ? "t" : "f");
	pg_param_text(&v, q->kind == REQUEST_CANCEL ? "cancel" : "build");
	pg_add(p, RECORD, &v);
}

static int add_one(struct store *s, struct pg_pipe *p, const struct store_request *q, struct error *err)
{
	char uuid[33];
	format_uuid(q->uuid, uuid);
	auto_free char *command = clean_text(q->command, sizeof q->command);
	auto_free char *reason = q->reason ? clean_text(q->reason, REASON_MAX) : NULL;
	if (!command || (q->reason && !reason))
		return error_set(err, ENOMEM, "no memory for a request");
	if (has_row(q->kind)) {
		add_row(s, p, q, uuid, command, reason);
		return 0;
	}
	if (q->kind != REQUEST_REASON) {
		freeze_add(s, p, q, uuid, command);
		return 0;
	}
	struct pg_params v = {0};
	pg_param_text(&v, uuid);
	pg_param_text(&v, reason);
	pg_param_int(&v, s->session);
	pg_add(p, GIVE_REASON, &v);
	return 0;
}

static int frozen(const struct store *s, struct store_request *q, const PGresult *r)
{
	struct store_freeze f = {
		.uid = (uint32_t)pg_int(r, 0, 2), .command = pg_text(r, 0, 3), .at = pg_time(r, 0, 4)};
	return freeze_refuses(&q->err, s->models[q->model].model, &f, q->batches.first);
}

static void answer(const struct store *s, struct store_request *q, const PGresult *r)
{
	const char *dir = s->models[q->model].model->dir;
	if (!has_row(q->kind) && q->kind != REQUEST_REASON) {
		freeze_answer(s, q, r);
	} else if (PQntuples(r) == 1 && pg_null(r, 0, 0)) {
		q->result = frozen(s, q, r);
	} else if (PQntuples(r) == 1) {
		q->id = pg_int(r, 0, 0);
		q->seq = pg_int(r, 0, 1);
		q->result = 0;
	} else if (q->kind == REQUEST_REASON) {
		q->result = error_set(&q->err, ENOENT,
				      "%s: the request that was to be given a reason is not recorded", dir);
	} else {
		q->result = error_set(&q->err, ENOENT, "%s: the batch is no longer %s", dir,
				      expected_words[q->expected]);
	}
}

static bool possible(const struct store *s, struct store_request *q)
{
	const struct pg_model *m = &s->models[q->model];
	if (m->id)
		return true;
	q->result = error_set(&q->err, EOPNOTSUPP, "%s is not known to the warehouse", m->model->dir);
	return false;
}

static int send_all(struct store *s, struct store_request *q, size_t n, bool *sent, struct error *err)
{
	auto_strbuf ids = STRBUF_INIT;
	for (size_t i = 0; i < n; i++)
		if (possible(s, &q[i]))
			pg_array_int(&ids, s->models[q[i].model].id);
	if (ids.len == 0)
		return 0;
	pg_array_end(&ids);
	struct pg_params models = {0};
	pg_param_text(&models, ids.str);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	pg_add_begin(&p);
	pg_add(&p, LOCK_MODELS, &models);
	size_t first = p.n;
	for (size_t i = 0; i < n; i++) {
		int r = possible(s, &q[i]) ? add_one(s, &p, &q[i], err) : 0;
		if (r) {
			pg_disconnect(&s->control);
			return r;
		}
	}
	size_t at = first;
	pg_add(&p, "commit", NULL);
	p.broken |= strbuf_broken(&ids);
	*sent = true;
	int r = pg_run(&p, err);
	for (size_t i = 0; i < n && !r; i++)
		if (possible(s, &q[i]))
			answer(s, &q[i], p.results[at++]);
	*sent = p.lost;
	return r;
}

/* Worth sending again at once: a lock that was held too long, a server that is starting or going. */
static bool passing(const struct error *e)
{
	return strcmp(e->sqlstate, "55P03") == 0 || strcmp(e->sqlstate, "40P01") == 0 ||
	       strcmp(e->sqlstate, "40001") == 0 || strncmp(e->sqlstate, "57P", 3) == 0;
}

int pg_request(struct store *s, struct store_request *requests, size_t n, struct error *err)
{
	if (s->config->read_only || !s->schema)
		return error_set(err, EROFS, "this mount writes nothing to the warehouse");
	int64_t end = pg_deadline(s);
	bool maybe = false;
	struct error why = {0};
	for (;;) {
		bool sent = false;
		int r = store_connect(s, true, &why);
		bool connected = !r;
		if (connected)
			r = send_all(s, requests, n, &sent, &why);
		maybe |= sent;
		if (!r) {
			store_changed(s);
			return 0;
		}
		bool again = connected ? sent || passing(&why) : maybe;
		if (r == -ECANCELED || !again || clock_monotonic_us() + AGAIN_US >= end)
			break;
		if (pg_pause(s->abandon_fd, clock_monotonic_us() + AGAIN_US)) {
			error_set(&why, ECANCELED, "the warehouse has been given up");
			break;
		}
	}
	if (maybe && why.err != ECANCELED)
		why.err = ETIMEDOUT;
	if (err)
		*err = why;
	return -why.err;
}

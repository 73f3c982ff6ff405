/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: all in one commit, each a row of its own, told apart by their uuids. */
#include <string.h>

#include "backend/base/count.h"
#include "backend/freeze.h"
#include "backend/kinds.h"
#include "backend/postgres/offer.h"
#include "backend/postgres/pgstore.h"
#include "backend/postgres/refresh.h"
#include "backend/postgres/sql.h"

#define AGAIN_US   100000
#define REASON_MAX 4096

static void format_uuid(const unsigned char *uuid, char *text)
{
	static const char hex[] = "0123456789abcdef";
	for (int i = 0; i < 16; i++) {
		*text++ = hex[uuid[i] >> 4];
		*text++ = hex[uuid[i] & 15];
	}
	*text = '\0';
}

void request_params(const struct store *s, const struct store_request *q, const char *uuid,
		    const char *command, struct pg_params *v)
{
	const struct pg_model *m = s->models[q->model];
	enum batch_size size = m->model->batch_size;
	pg_param_text(v, uuid);
	pg_param_int(v, m->id);
	pg_param_time(v, calendar_start(size, q->batches.first));
	pg_param_time(v, calendar_start(size, q->batches.end));
	pg_param_int(v, q->uid);
	pg_param_text(v, command);
}

static void add_row(struct store *s, struct pg_pipe *p, const struct store_request *q, const char *uuid,
		    const char *command, const char *reason)
{
	struct pg_params v = {0};
	request_params(s, q, uuid, command, &v);
	pg_param_text(&v, reason);
	pg_param_text(&v, s->models[q->model]->model->code);
	pg_param_time(&v, q->at);
	pg_param_int(&v, s->session);
	pg_param_int(&v, 0);
	pg_param_text(&v, q->expected < 0 ? "" : batch_state_name((enum batch_state)q->expected));
	pg_param_int(&v, q->expected_attempt);
	pg_param_text(&v, q->named ? "t" : "f");
	pg_param_text(&v, request_traits(q->kind)->word);
	planned_add(s, p, PLANNED_RECORD, &v);
}

static int add_cancel(struct store *s, struct pg_pipe *p, const struct store_request *q, const char *uuid,
		      const char *command, struct error *err)
{
	auto_strbuf ours = STRBUF_INIT;
	own_sessions(s, &ours);
	if (strbuf_broken(&ours))
		return error_set(err, ENOMEM, "no memory for a request");
	struct pg_params v = {0};
	request_params(s, q, uuid, command, &v);
	pg_param_time(&v, q->at);
	pg_param_int(&v, s->session);
	pg_param_text(&v, ours.str);
	pg_param_int(&v, q->known.seq);
	pg_param_int(&v, q->known.id);
	pg_param_int(&v, q->known.own);
	pg_param_int(&v, q->of_request);
	pg_add(p, SQL_REQUEST_CANCEL, &v);
	return 0;
}

static void add_reason(struct store *s, struct pg_pipe *p, const char *uuid, const char *reason)
{
	struct pg_params v = {0};
	pg_param_text(&v, uuid);
	pg_param_text(&v, reason);
	pg_param_int(&v, s->session);
	pg_add(p, SQL_REQUEST_GIVE_REASON, &v);
}

static int add_one(struct store *s, struct pg_pipe *p, const struct store_request *q, bool plain,
		   const struct store_request *all, size_t n, struct error *err)
{
	char uuid[33];
	format_uuid(q->uuid, uuid);
	auto_free char *command = clean_text(q->command, sizeof q->command, plain);
	auto_free char *reason = q->reason ? clean_text(q->reason, REASON_MAX, plain) : NULL;
	if (!command || (q->reason && !reason))
		return error_set(err, ENOMEM, "no memory for a request");
	switch (q->kind) {
	case REQUEST_BUILD:
		add_row(s, p, q, uuid, command, reason);
		break;
	case REQUEST_CANCEL:
		return add_cancel(s, p, q, uuid, command, err);
	case REQUEST_FULL:
		return refresh_add(s, p, q, uuid, command, reason, all, n, err);
	case REQUEST_REASON:
		add_reason(s, p, uuid, reason);
		break;
	case REQUEST_FREEZE:
	case REQUEST_THAW:
	case REQUEST_PROTECT:
	case REQUEST_UNPROTECT:
		freeze_add(s, p, q, uuid, command);
		break;
	}
	return 0;
}

static int frozen(const struct store *s, struct store_request *q, const PGresult *r)
{
	struct store_freeze f = {
		.uid = (uint32_t)pg_int(r, 0, 2), .command = pg_text(r, 0, 3), .at = pg_time(r, 0, 4)};
	return freeze_refuses(&q->err, s->models[q->model]->model, &f, q->batches.first);
}

static void cancel_answer(const struct store *s, struct store_request *q, const PGresult *r)
{
	enum batch_size size = s->models[q->model]->model->batch_size;
	q->pieces = calloc((size_t)PQntuples(r) + 1, sizeof *q->pieces);
	/* It is recorded all the same: follow() does not tell of it, so that here it only ends what it has.
	 */
	if (!q->pieces) {
		q->result = error_set(&q->err, ENOMEM, "no memory for a cancel");
		return;
	}
	q->id = pg_int(r, 0, 0);
	q->seq = pg_int(r, 0, 1);
	for (int row = 0; row < PQntuples(r); row++) {
		struct ordinal_range piece = {calendar_ordinal(size, pg_time(r, row, 2)),
					      calendar_ordinal(size, pg_time(r, row, 3))};
		if (piece.first < piece.end)
			q->pieces[q->n_pieces++] = piece;
	}
	q->result = 0;
}

static void answer(struct store *s, struct store_request *q, const PGresult *r)
{
	const char *dir = s->models[q->model]->model->dir;
	if (q->kind == REQUEST_CANCEL && PQntuples(r) > 0) {
		cancel_answer(s, q, r);
	} else if (request_traits(q->kind)->freezes) {
		freeze_answer(s, q, r);
	} else if (q->kind == REQUEST_FULL) {
		refresh_recorded(s, q, r);
	} else if (PQntuples(r) == 1 && pg_null(r, 0, 0)) {
		q->result = frozen(s, q, r);
	} else if (PQntuples(r) == 1 && !pg_null(r, 0, 1)) {
		q->id = pg_int(r, 0, 0);
		q->seq = pg_int(r, 0, 1);
		q->result = 0;
	} else if (request_traits(q->kind)->scope == SCOPE_REQUEST) {
		q->result = error_set(&q->err, ENOENT,
				      "%s: the request that was to be given a reason is not recorded", dir);
	} else if (q->expected < 0) {
		q->result = error_set(&q->err, EIO, "%s is gone from the schema batchfs", dir);
	} else {
		q->result = error_set(&q->err, ENOENT, "%s: the batch is no longer %s", dir,
				      batch_state_name((enum batch_state)q->expected));
	}
}

static bool possible(const struct store *s, struct store_request *q)
{
	const struct pg_model *m = s->models[q->model];
	if (m->id)
		return true;
	q->result = error_set(&q->err, EOPNOTSUPP, "%s is not known to the warehouse", m->model->dir);
	return false;
}

/* Requests on their way: one commit for all. */
struct sending {
	struct store *s;
	struct store_request *q;
	size_t n;
	bool *plain;		   /* of each: its texts go in ASCII */
	bool sent;		   /* out: it may have been recorded all the same */
	struct store_claim *claim; /* for the last of them; NULL: none */
};

/* A claim that travels behind the requests: neither waits for the other's answer. */
struct follower {
	struct store_claim *claim; /* NULL: none does */
	struct pg_doubt *doubts;
	size_t begin, at; /* numbers of its first statement and of its grant */
};

static int add_follower(struct store *s, struct pg_pipe *p, const struct store_request *q, struct follower *f,
			struct error *err)
{
	char uuid[33];
	format_uuid(q->uuid, uuid);
	pg_add_sync(p);
	f->begin = p->n;
	store_begin_claim(s, p);
	int r = claim_add(s, p, f->claim, uuid, &f->doubts, &f->at, err);
	pg_add(p, "commit", NULL);
	return r;
}

static int add_all(struct sending *x, struct pg_pipe *p, struct follower *f, struct error *err)
{
	struct store *s = x->s;
	int r = 0;
	for (size_t i = 0; i < x->n && !r; i++)
		r = possible(s, &x->q[i]) ? add_one(s, p, &x->q[i], x->plain[i], x->q, x->n, err) : 0;
	pg_add(p, "commit", NULL);
	struct store_request *last = &x->q[x->n - 1];
	*f = (struct follower){.claim = s->anew || !possible(s, last) ? NULL : x->claim};
	if (!r && f->claim)
		r = add_follower(s, p, last, f, err);
	add_notice(s, p);
	return r;
}

/* What was recorded stands, whatever became of the claim behind it. */
static bool recorded(const struct pg_pipe *p, const struct follower *f, int r)
{
	return !r || (!p->lost && f->claim && p->failed >= (int)f->begin);
}

static void take_follower(struct sending *x, const struct pg_pipe *p, struct follower *f, int r)
{
	claim_doubts(x->s, f->doubts, r && p->lost);
	if (!f->claim || !recorded(p, f, r))
		return;
	if (!r)
		claim_take(x->s, p, f->at, f->claim);
	f->claim->request = x->q[x->n - 1].id;
	f->claim->wanted = x->q[x->n - 1].seq;
}

/*
 * A text that the database's encoding cannot hold is one user's, and the others' requests are no worse for
 * it: what it has not becomes '?'. True: all are to be sent once more.
 */
static bool simplify(struct sending *x, const struct pg_pipe *p, size_t first, const struct error *why)
{
	if (strcmp(why->sqlstate, "22P05") != 0 || p->failed < (int)first)
		return false;
	size_t at = first;
	for (size_t i = 0; i < x->n; i++) {
		if (!possible(x->s, &x->q[i]) || at++ != (size_t)p->failed)
			continue;
		if (x->plain[i])
			return false;
		log_info(x->s->config->log, "a text goes into the history with question marks: %s",
			 why->text);
		return x->plain[i] = true;
	}
	return false;
}

/* *again: at once. */
static int send_once(struct sending *x, bool *again, struct error *err)
{
	struct store *s = x->s;
	auto_strbuf ids = STRBUF_INIT;
	*again = false;
	for (size_t i = 0; i < x->n; i++)
		if (possible(s, &x->q[i]))
			pg_array_int(&ids, s->models[x->q[i].model]->id);
	if (ids.len == 0)
		return 0;
	pg_array_end(&ids);
	struct pg_params models = {0};
	pg_param_text(&models, ids.str);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	store_begin(s, &p);
	planned_add(s, &p, PLANNED_LOCK_MODELS, &models);
	size_t first = p.n, at = first;
	struct follower f;
	int r = add_all(x, &p, &f, err);
	if (r) {
		claim_doubts(s, f.doubts, false);
		pg_disconnect(&s->control);
		return r;
	}
	p.broken |= strbuf_broken(&ids);
	r = store_run(s, &p, err);
	for (size_t i = 0; i < x->n && recorded(&p, &f, r); i++)
		if (possible(s, &x->q[i]))
			answer(s, &x->q[i], p.results[at++]);
	take_follower(x, &p, &f, r);
	if (recorded(&p, &f, r))
		return 0;
	x->sent |= p.lost;
	*again = r && !p.lost && err && simplify(x, &p, first, err);
	return r;
}

static int send_all(struct store *s, struct store_request *q, size_t n, struct store_claim *claim, bool *sent,
		    struct error *err)
{
	auto_free bool *plain = calloc(n + 1, sizeof *plain);
	if (!plain)
		return error_set(err, ENOMEM, "no memory for %s", count_of(n, "request", "requests").text);
	struct sending x = {.s = s, .q = q, .n = n, .plain = plain, .claim = claim};
	bool again;
	int r;
	do
		r = send_once(&x, &again, err);
	while (again);
	*sent = x.sent;
	return r;
}

/* Worth sending again at once: a lock that was held too long, a server that is starting or going. */
static bool passing(const struct error *e)
{
	return strcmp(e->sqlstate, "55P03") == 0 || strcmp(e->sqlstate, "40P01") == 0 ||
	       strcmp(e->sqlstate, "40001") == 0 || strncmp(e->sqlstate, "57P", 3) == 0;
}

int pg_request(struct store *s, struct store_request *requests, size_t n, struct store_claim *claim,
	       struct error *err)
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
			r = send_all(s, requests, n, claim, &sent, &why);
		maybe |= sent;
		if (!r) {
			store_changed(s);
			return 0;
		}
		bool again = (s->strange && r == -EAGAIN) || (connected ? sent || passing(&why) : maybe);
		if (r == -ECANCELED || !again || clock_monotonic_us() + AGAIN_US >= end)
			break;
		if (pg_pause(s->abandon_fd, clock_monotonic_us() + AGAIN_US)) {
			error_set(&why, ECANCELED, "the warehouse has been given up");
			break;
		}
	}
	if (maybe && why.err != ECANCELED)
		why.err = ETIMEDOUT;
	/* The schema that this mount knows is not there, and the one that is could not be read in time. */
	if (why.err == EAGAIN)
		why.err = EHOSTUNREACH;
	if (err)
		*err = why;
	return -why.err;
}

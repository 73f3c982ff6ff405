/* SPDX-License-Identifier: Apache-2.0 */
/* Claims: nobody is waited for. What another holds is not granted this time. */
#include "backend/postgres/pgstore.h"

#define MAKE_ROWS                                                                                            \
	"insert into batchfs.state (model, window_start)"                                                    \
	" select $1::int, w from unnest($2::timestamptz[]) as w on conflict do nothing"

/* What keeps a batch (state row s) from being claimed for requests up to $3 with the code $8 (store.h). */
#define NEWER                                                                                                \
	"select from batchfs.request r where r.open"                                                         \
	" and pg_catalog.tstzrange(r.first_start, r.end_start) @> s.window_start and r.model = $1::int"      \
	" and r.seq > greatest($3::bigint, s.served)"                                                        \
	" and (r.kind = 'cancel' or r.kind = 'build' and r.code <> $8)"
#define OF_OTHER_CODE "select from batchfs.request r where r.id = s.request and r.code <> $8"

/*
 * The model's row is locked against requests and freezes: every request with a seq up to the one
 * read here was committed before, so that the build that follows answers it. The lock brings the row as it is
 * now, everything else is read as it was when the statement began: where `seq` or `freezes` differ, a request
or
 * a freeze was committed in between, which this statement cannot see, and nothing is granted.
 */
#define GRANT                                                                                                \
	"with locked as materialized (select seq, freezes from batchfs.model where id = $1::int"             \
	" for share skip locked),"                                                                           \
	" m as materialized (select locked.seq from locked join batchfs.model seen on seen.id = $1::int"     \
	" and seen.seq = locked.seq and seen.freezes = locked.freezes),"                                     \
	" free as materialized (select s.window_start from batchfs.state s"                                  \
	" where s.model = $1::int and s.window_start = any ($2::timestamptz[])"                              \
	" and s.run <> 1 and (s.run = 2 or s.served < $3::bigint) and exists (select from m)"                \
	" and not exists (select from batchfs.freeze f where f.model = $1::int"                              \
	" and f.first_start <= s.window_start and f.end_start > s.window_start)"                             \
	" and not exists (" NEWER ") and ($3::bigint > s.served or not exists (" OF_OTHER_CODE "))"          \
	" order by s.window_start for update skip locked),"                                                  \
	" mine as (update batchfs.state s set run = 1, attempt = s.attempt + 1, owner = $4::bigint,"         \
	" served = m.seq, request = case when $5::bigint = 0 then s.request else $5::bigint end,"            \
	" running_since = $6::timestamptz from free, m"                                                      \
	" where s.model = $1::int and s.window_start = free.window_start"                                    \
	" returning s.window_start, s.attempt, s.served),"                                                   \
	" told as (insert into batchfs.attempt (model, window_start, last_start, origin, outcome, at, "      \
	"request)"                                                                                           \
	" select $1::int, min(window_start), max(window_start), $7::bigint, 'started', $6::timestamptz, "    \
	"$5::bigint"                                                                                         \
	" from mine having count(*) > 0)"                                                                    \
	" select window_start, attempt, served from mine"

/* Rises with every claim, so that it names the one whose commit was lost. */
static int64_t unique_start(struct store *s, int64_t started)
{
	if (started <= s->last_started)
		started = s->last_started + 1;
	return s->last_started = started;
}

static int add_claim(struct store *s, struct pg_pipe *p, const struct store_claim *c, int64_t started,
		     struct error *err)
{
	const struct pg_model *m = &s->models[c->model];
	auto_strbuf windows = STRBUF_INIT;
	for (uint32_t i = 0; i < c->count; i++)
		pg_array_time(&windows, calendar_start(m->model->batch_size, c->first + i));
	pg_array_end(&windows);
	if (strbuf_broken(&windows))
		return error_set(err, ENOMEM, "no memory for a claim");
	struct pg_params rows = {0}, grant = {0};
	pg_param_int(&rows, m->id);
	pg_param_text(&rows, windows.str);
	pg_param_int(&grant, m->id);
	pg_param_text(&grant, windows.str);
	pg_param_int(&grant, c->wanted);
	pg_param_int(&grant, s->owner);
	pg_param_int(&grant, c->request);
	pg_param_time(&grant, started);
	pg_param_int(&grant, s->session);
	pg_param_text(&grant, m->model->code);
	pg_add(p, MAKE_ROWS, &rows);
	pg_add(p, GRANT, &grant);
	return 0;
}

static void take_grant(const struct pg_model *m, struct store_claim *c, const PGresult *r)
{
	for (int row = 0; row < PQntuples(r); row++) {
		ordinal batch = calendar_ordinal(m->model->batch_size, pg_time(r, row, 0));
		if (batch >= c->first && batch - c->first < c->count)
			c->attempt[batch - c->first] = (uint32_t)pg_int(r, row, 1);
		c->served = pg_int(r, row, 2);
	}
}

/* Made before anything is sent: when the fate is unknown there must be memory to remember that. */
static struct pg_doubt *doubt_new(const struct store *s, const struct store_claim *c, int64_t started)
{
	struct pg_doubt *d = malloc(sizeof *d);
	if (d)
		*d = (struct pg_doubt){.id = s->models[c->model].id, .started = started};
	return d;
}

static void keep_doubts(struct store *s, struct pg_doubt *list, bool lost)
{
	while (list) {
		struct pg_doubt *d = list;
		list = d->next;
		if (!lost) {
			free(d);
			continue;
		}
		d->next = s->doubts;
		s->doubts = d;
	}
}

static int send_claims(struct store *s, struct pg_pipe *p, struct store_claim *claims, size_t n,
		       struct pg_doubt **doubts, struct error *err)
{
	pg_add_begin(p);
	for (size_t i = 0; i < n; i++) {
		int64_t started = unique_start(s, claims[i].started);
		struct pg_doubt *d = doubt_new(s, &claims[i], started);
		if (!d)
			return error_set(err, ENOMEM, "no memory for a claim");
		d->next = *doubts;
		*doubts = d;
		int r = add_claim(s, p, &claims[i], started, err);
		if (r)
			return r;
	}
	pg_add(p, "commit", NULL);
	return pg_run(p, err);
}

int pg_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err)
{
	if (s->config->read_only || !s->schema)
		return error_set(err, EROFS, "this mount writes nothing to the warehouse");
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < CLAIM_MAX; k++)
			claims[i].attempt[k] = 0;
		claims[i].served = 0;
	}
	int r = store_connect(s, false, err);
	if (r)
		return r;
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	struct pg_doubt *doubts = NULL;
	s->claimed = true;
	struct error why = {0};
	r = send_claims(s, &p, claims, n, &doubts, &why);
	if (r && !p.lost && p.syncs == 0)
		pg_disconnect(&s->control); /* half of it is queued */
	keep_doubts(s, doubts, r && p.lost);
	if (r && !p.lost && passing_state(why.sqlstate))
		return 0; /* another mount was at it just now: nothing is granted this time */
	if (r) {
		if (err)
			*err = why;
		return r;
	}
	for (size_t i = 0; i < n; i++)
		take_grant(&s->models[claims[i].model], &claims[i], p.results[2 + 2 * i + 1]);
	store_changed(s);
	return 0;
}

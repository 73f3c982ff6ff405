/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/hooks.h"

#include <string.h>

#include "backend/postgres/sql.h"

static bool has(const struct batch *x, bool post, bool transaction)
{
	const struct model *m = x->m->model;
	for (size_t i = 0; i < m->n_hooks; i++)
		if (m->hooks[i].post == post && m->hooks[i].transaction == transaction)
			return true;
	return false;
}

static void put_stage(struct batch *x, struct pg_params *params, const char *stage)
{
	batch_put_key(x, params);
	pg_param_text(params, stage);
}

static void put_step(struct batch *x, struct pg_params *params, const char *stage)
{
	static const char *const steps[] = {[BATCH_HOUR] = "1 hour",
					    [BATCH_DAY] = "1 day",
					    [BATCH_MONTH] = "1 month",
					    [BATCH_YEAR] = "1 year"};
	put_stage(x, params, steps[x->m->model->batch_size]);
	pg_param_text(params, stage);
}

/* 0 or an errno; a cancel of the batch ends it. */
static int run_one(struct batch *x, const struct hook *hook, const char *statement)
{
	auto_result *done = NULL;
	pg_cancel_arm(&x->w->cancel, true);
	int r = pg_query(&x->w->conn, PG_NO_DEADLINE, statement, NULL, &done, &x->err);
	pg_cancel_arm(&x->w->cancel, false);
	if (r)
		error_prefix(&x->err, "%s-hook \"%.200s\": ", hook->post ? "post" : "pre", hook->text);
	return r;
}

static int run_all(struct batch *x, bool post, bool transaction)
{
	const struct model *m = x->m->model;
	int r = 0;
	for (size_t i = 0; i < m->n_hooks && !r; i++) {
		const struct hook *hook = &m->hooks[i];
		if (hook->post != post || hook->transaction != transaction)
			continue;
		for (const char **s = hook->statements; *s && !r; s++)
			r = run_one(x, hook, *s);
	}
	return r;
}

/* A statement alone, of ours. *rows: how many it has written. */
static int mark(struct batch *x, const char *sql, const struct pg_params *params, bool *rows)
{
	auto_result *marked = NULL;
	int r = pg_query(&x->w->conn, pg_deadline(x->w->store), sql, params, &marked, &x->err);
	*rows = !r && PQntuples(marked) > 0;
	return r;
}

/* They have not run: the next attempt runs them. */
static void forget(struct batch *x, const char *stage)
{
	struct pg_params params = {0};
	put_stage(x, &params, stage);
	auto_result *gone = NULL;
	if (x->w->conn.pq)
		pg_query(&x->w->conn, pg_deadline(x->w->store), SQL_HOOKS_FORGET, &params, &gone, NULL);
}

/* It would take the batch's rows and state apart. */
static bool ends_transaction(const char *statement)
{
	static const char *const words[] = {"begin",	"start", "commit", "end",
					    "rollback", "abort", "prepare"};
	struct sql_token t = {.kind = SQL_SPACE};
	while (t.kind == SQL_SPACE)
		t = sql_lex(SQL_POSTGRES, statement, strlen(statement), t.start + t.len);
	for (size_t i = 0; i < sizeof words / sizeof *words && t.kind == SQL_WORD; i++)
		if (t.len == strlen(words[i]) && strncasecmp(statement + t.start, words[i], t.len) == 0)
			return true;
	return false;
}

static int check_hooks(struct batch *x)
{
	const struct model *m = x->m->model;
	for (size_t i = 0; i < m->n_hooks; i++)
		for (const char **s = m->hooks[i].statements; *s; s++)
			if (m->hooks[i].transaction && ends_transaction(*s))
				return error_sql(
					&x->err, EINVAL, "2D000",
					"%s-hook \"%.200s\" would end the transaction of its batch; it can "
					"run outside, with transaction: false",
					m->hooks[i].post ? "post" : "pre", m->hooks[i].text);
	return 0;
}

static int pre_outside(struct batch *x)
{
	struct pg_params params = {0};
	bool mine;
	if (!has(x, false, false))
		return 0;
	put_stage(x, &params, "pre, outside");
	int r = mark(x, SQL_HOOKS_FIRST, &params, &mine);
	if (r || !mine)
		return r;
	r = run_all(x, false, false);
	if (r)
		forget(x, "pre, outside");
	return r;
}

/* BEGIN, the fence, and whether the pre-hooks are this batch's. *stale: another attempt has taken over. */
static int open_batch(struct batch *x, bool *stale)
{
	struct pg_params stage = {0};
	put_stage(x, &stage, "pre");
	auto_pipe p = PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
	size_t fenced = batch_add_fence(x, &p), first = pg_add(&p, SQL_HOOKS_FIRST, &stage);
	int r = pg_run(&p, &x->err);
	*stale = r && !p.lost && p.failed == (int)fenced && strcmp(x->err.sqlstate, "22012") == 0;
	if (r || PQntuples(p.results[first]) == 0)
		return r;
	r = run_all(x, false, true);
	if (r)
		batch_undo(x);
	return r;
}

static int post_inside(struct batch *x)
{
	struct pg_params hold = {0}, last = {0};
	batch_put_key(x, &hold);
	put_step(x, &last, "post");
	auto_pipe p = PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
	pg_add(&p, SQL_HOOKS_HOLD, &hold);
	size_t due = pg_add(&p, SQL_HOOKS_LAST, &last);
	int r = pg_run(&p, &x->err);
	if (!r && PQntuples(p.results[due]) > 0)
		r = run_all(x, true, true);
	if (r)
		batch_undo(x);
	return r;
}

/* The rows are committed; the state is when the hooks have run. */
static int post_outside(struct batch *x)
{
	struct pg_params key = {0}, last = {0}, outside = {0};
	bool due;
	batch_put_key(x, &key);
	put_step(x, &last, "post, outside");
	auto_pipe rows = PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
	size_t left_out = pg_add(&rows, SQL_BATCH_OUTSIDE, NULL);
	pg_add(&rows, SQL_HOOKS_STILL_RUNS, &key);
	pg_add(&rows, "commit", NULL);
	int r = pg_run(&rows, &x->err);
	if (!r)
		r = mark(x, SQL_HOOKS_LAST, &last, &due);
	if (!r && due) {
		r = run_all(x, true, false);
		if (r)
			forget(x, "post, outside");
	}
	if (r)
		return r;
	auto_pipe end = PG_PIPE(&x->w->conn, PG_NO_DEADLINE);
	pg_param_text(&outside, pg_text(rows.results[left_out], 0, 0));
	batch_add_fence(x, &end);
	pg_add(&end, SQL_HOOKS_OUTSIDE, &outside);
	return pg_run(&end, &x->err);
}

enum build_outcome hooks_build(struct batch *x, const struct build_run *run)
{
	bool stale = false, again = false;
	if (check_hooks(x))
		return BUILD_FAILED;
	int r = pre_outside(x);
	if (!r)
		r = open_batch(x, &stale);
	if (stale)
		return BUILD_STALE;
	if (r)
		return batch_failed(x, r);
	x->begun = true;
	batch_send_rows(x);
	enum build_outcome outcome = batch_read_rows(x, &again);
	if (again)
		return batch_failed(x, -ETIMEDOUT);
	if (outcome != BUILD_DONE)
		return outcome;
	if (!build_wanted(run, x->report.batch)) {
		batch_undo(x);
		return BUILD_INTERRUPTED;
	}
	if (has(x, true, true) || has(x, true, false))
		r = post_inside(x);
	if (!r && has(x, true, false))
		r = post_outside(x);
	if (r)
		return batch_failed(x, r);
	batch_send_end(x);
	return batch_read_end(x, true);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One batch, by the statements of any other batch (batch.h), into the table beside. */
#include "backend/postgres/atomic.h"
#include "backend/postgres/sql.h"

int atomic_next(struct atomic *a, bool *found, ordinal *batch, struct error *err)
{
	enum batch_size size = a->m->model->batch_size;
	struct ordinal_range all = a->step->batches;
	*found = true;
	*batch = a->newest == NEWEST_NONE ? all.first : calendar_ordinal(size, a->newest) + 1;
	if (*batch < all.end)
		return 0;
	*found = false;
	if (a->step->phase != REFRESH_EXCHANGE)
		return 0;
	struct pg_params v = {0};
	auto_result *again = NULL;
	atomic_params(a, &v);
	pg_param_text(&v, a->m->model->code);
	int r = pg_query_row(&a->w->conn, PG_NO_DEADLINE, SQL_ATOMIC_AGAIN, &v, &again, err);
	if (r)
		return r;
	*found = !pg_null(again, 0, 0);
	*batch = calendar_ordinal(size, pg_time(again, 0, 0));
	return 0;
}

static int read_seen(struct atomic *a, ordinal batch, int64_t *seen, struct error *err)
{
	struct pg_params v = {0};
	auto_result *r = NULL;
	pg_param_int(&v, pg_id(a->m));
	pg_param_time(&v, calendar_start(a->m->model->batch_size, batch));
	int failed = pg_query_row(&a->w->conn, PG_NO_DEADLINE, SQL_ATOMIC_SEEN, &v, &r, err);
	*seen = failed ? 0 : pg_int(r, 0, 0);
	return failed;
}

static int record(struct atomic *a, const struct batch *x, int64_t seen, struct error *err)
{
	struct store *s = a->w->store;
	struct pg_params built = {0}, count = {0};
	atomic_params(a, &built);
	pg_param_time(&built, calendar_start(a->m->model->batch_size, x->report.batch));
	pg_param_int(&built, seen);
	pg_param_time(&built, x->report.started);
	pg_param_time(&built, clock_now_us(s->config->clock));
	pg_param_int(&built, x->report.rows_inserted);
	pg_param_text(&built, a->m->model->code);
	atomic_params(a, &count);
	pg_param_int(&count, s->owner);
	pg_param_int(&count, a->step->phase == REFRESH_BESIDE);
	auto_pipe p = PG_PIPE(&a->w->conn, PG_NO_DEADLINE);
	pg_add(&p, SQL_ATOMIC_BUILT, &built);
	size_t counted = pg_add(&p, SQL_ATOMIC_COUNT, &count);
	pg_add(&p, "commit", NULL);
	int r = pg_run(&p, err);
	if (!r)
		a->step->done = pg_int(p.results[counted], 0, 0);
	return r;
}

/* Why the refresh ends, or goes on later. */
static int judge(struct atomic *a, const struct batch *x, enum build_outcome outcome, struct error *err)
{
	char name[CALENDAR_NAME_MAX];
	if (outcome == BUILD_INTERRUPTED)
		return error_set(err, ECANCELED, "interrupted while %s was refreshed", a->m->target);
	calendar_name(a->m->model->batch_size, x->report.batch, name);
	if (err)
		*err = x->err;
	if (err)
		err->err = x->rows.lost ? ETIMEDOUT : outcome == BUILD_FAILED ? EINVAL : EAGAIN;
	if (!x->rows.lost)
		a->step->failure =
			(struct refresh_failure){.batch = x->report.batch,
						 .started = x->report.started,
						 .finished = clock_now_us(a->w->store->config->clock),
						 .why = x->err};
	if (a->step->failure.why.text[0])
		a->step->failure.why.err = EIO;
	error_prefix(err, "batch %s: ", name);
	return x->rows.lost ? -ETIMEDOUT : outcome == BUILD_FAILED ? -EINVAL : -EAGAIN;
}

/* Others count who uses the model, under the same lock. */
static struct pg_model copy_of(const struct pg_model *m)
{
	LOCKED(&m->store->lock);
	return *m;
}

int atomic_build(struct atomic *a, ordinal batch, struct error *err)
{
	/* Another table's, but else the model's: nobody else has these. */
	struct pg_model m = copy_of(a->m);
	struct pg_shape shape = *a->shape;
	struct batch x;
	auto_strbuf target = STRBUF_INIT;
	int64_t seen = 0;
	bool again = false;
	quote_name(&target, m.model->relation.schema);
	strbuf_printf(&target, ".%s", a->beside.name);
	if (strbuf_broken(&target))
		return error_set(err, ENOMEM, "no memory for a batch of %s", m.model->dir);
	m.target = target.str;
	shape.secured = false;
	int r = read_seen(a, batch, &seen, err);
	if (r)
		return r;
	enum build_outcome outcome = BUILD_FAILED;
	if (batch_init(&x, a->w, &m, &shape, batch, 0)) {
		x.begun = true;
		batch_send_rows(&x);
		outcome = batch_read_rows(&x, &again);
	}
	if (outcome == BUILD_DONE && !again)
		r = record(a, &x, seen, err);
	else
		r = judge(a, &x, again ? BUILD_PASSING : outcome, err);
	batch_fini(&x);
	return r;
}

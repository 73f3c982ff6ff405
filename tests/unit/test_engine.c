/* SPDX-License-Identifier: Apache-2.0 */
/* The wrappers around an engine's ops, in front of an engine that does what the test wants. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "backend/engine.h"

struct store {
	unsigned claims, settles, interrupts;
	bool closed;
};

struct worker {
	struct store *store;
};

static struct store fake;
static struct worker fake_worker = {&fake};
static int answer; /* of claim and settle */

static int fake_open(const struct engine_config *config, struct store **out, struct error *err)
{
	fake = (struct store){0};
	answer = 0;
	*out = &fake;
	return 0;
}

static void fake_close(struct store *s)
{
	s->closed = true;
}

static int fake_enlist(struct store *s, const struct model *const *models, struct store_target *targets,
		       size_t n, struct error *err)
{
	return 0;
}

static int fake_load(struct store *s, const struct store_sink *sink, struct error *err)
{
	return 0;
}

static int fake_claim(struct store *s, struct store_claim *claims, size_t n, struct error *err)
{
	s->claims++;
	return answer;
}

static int fake_settle(struct store *s, struct store_outcome *outcomes, size_t n, struct error *err)
{
	s->settles++;
	return answer;
}

static int fake_worker_open(struct store *s, const char *lane, struct worker **out, struct error *err)
{
	*out = &fake_worker;
	return 0;
}

static void fake_worker_close(struct worker *w)
{
}

static int fake_prune(struct worker *w, slot model, size_t keep, int64_t before, struct error *err)
{
	return 0;
}

/* What the engine reports of a run, ended by attempt 0. */
static const struct build_report *script;

static int fake_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
		      struct error *err)
{
	for (const struct build_report *r = script; r->attempt; r++)
		report(ctx, r);
	return 0;
}

static const struct store_ops store_ops = {.open = fake_open,
					   .close = fake_close,
					   .enlist = fake_enlist,
					   .load = fake_load,
					   .claim = fake_claim,
					   .settle = fake_settle};
static const struct builder_ops builder_ops = {.worker_open = fake_worker_open,
					       .worker_close = fake_worker_close,
					       .build = fake_build,
					       .prune = fake_prune};
static const struct engine engine = {.name = "fake", .store = &store_ops, .builder = &builder_ops};
static const struct clock now;

/* A guest that builds as the engine does; what needs the answer of is_incremental() is its. */
static int guest_open(const struct engine_config *config, struct guest **out, struct error *err)
{
	return 0;
}

static void guest_close(struct guest *g)
{
}

static int guest_worker_open(struct guest *g, const char *lane, struct guest_worker **out, struct error *err)
{
	*out = (struct guest_worker *)&fake_worker;
	return 0;
}

static void guest_worker_close(struct guest_worker *w)
{
}

static int guest_build(struct guest_worker *w, const struct model *m, const struct build_run *run,
		       build_report_fn *report, void *ctx, struct error *err)
{
	return fake_build(NULL, run, report, ctx, err);
}

static const struct guest_ops guest_ops = {.open = guest_open,
					   .close = guest_close,
					   .worker_open = guest_worker_open,
					   .worker_close = guest_worker_close,
					   .build = guest_build};
static const struct guest_builder guest = {.traits = {.supports = SUPPORTS(NEED_IS_INCREMENTAL)},
					   .ops = &guest_ops};
static const struct engine with_guest = {
	.name = "fake", .store = &store_ops, .builder = &builder_ops, .guest = &guest};

struct opened {
	struct open_store *store;
	struct open_worker *worker;
	struct error err;
};

static struct opened open_engine(const struct engine *which, bool read_only)
{
	const struct engine_config config = {.read_only = read_only, .clock = &now};
	const struct store_sink sink = {0};
	struct opened o = {0};
	assert_int_equal(store_open(which, &config, &o.store, &o.err), 0);
	assert_int_equal(store_enlist(o.store, NULL, NULL, 0, &o.err), 0);
	assert_int_equal(store_load(o.store, &sink, &o.err), 0);
	assert_int_equal(builder_worker_open(o.store, "worker", &o.worker, &o.err), 0);
	return o;
}

static struct opened open_all(bool read_only)
{
	return open_engine(&engine, read_only);
}

static void close_all(struct opened *o)
{
	builder_worker_close(o->worker);
	store_close(o->store);
	assert_true(fake.closed);
}

static void broken(const struct opened *o, const char *how)
{
	assert_int_equal(o->err.err, EIO);
	if (!strstr(o->err.text, how))
		fail_msg("'%s' does not say '%s'", o->err.text, how);
}

static void nothing_before_its_time(void **state)
{
	const struct engine_config config = {0};
	const struct store_sink sink = {0};
	struct store_claim c = {.count = 1};
	struct opened o = {0};
	auto_strbuf text = STRBUF_INIT;
	assert_int_equal(store_open(&engine, &config, &o.store, &o.err), 0);
	assert_int_equal(store_load(o.store, &sink, &o.err), -EIO);
	broken(&o, "load before enlist");
	assert_int_equal(builder_statements(o.store, 0, (struct ordinal_range){0, 1}, &text, &o.err), -EIO);
	broken(&o, "statements before enlist");
	assert_int_equal(store_enlist(o.store, NULL, NULL, 0, &o.err), 0);
	assert_int_equal(store_claim(o.store, &c, 1, &o.err), -EIO);
	broken(&o, "claim before load");
	assert_int_equal(fake.claims, 0);
	assert_int_equal(store_load(o.store, &sink, &o.err), 0);
	assert_int_equal(store_claim(o.store, &c, 1, &o.err), 0);
	store_close(o.store);
}

static void *other_claims(void *arg)
{
	struct opened *o = arg;
	struct store_claim c = {.count = 1};
	return store_claim(o->store, &c, 1, &o->err) == -EIO ? NULL : arg;
}

static void *other_takes_control(void *arg)
{
	struct opened *o = arg;
	store_take_control(o->store);
	return other_claims(arg) ? NULL : arg;
}

static void *other_prunes(void *arg)
{
	struct opened *o = arg;
	return builder_prune(o->worker, 0, 1, 1, &o->err) == -EIO ? NULL : arg;
}

/* Whether the other thread was content. */
static bool elsewhere(void *(*main)(void *), struct opened *o)
{
	pthread_t thread;
	void *bad;
	assert_int_equal(pthread_create(&thread, NULL, main, o), 0);
	pthread_join(thread, &bad);
	return bad == NULL;
}

static void each_thread_its_own(void **state)
{
	struct opened o = open_all(false);
	assert_true(elsewhere(other_claims, &o));
	broken(&o, "not the store's control thread");
	assert_int_equal(fake.claims, 0);
	assert_true(elsewhere(other_takes_control, &o));
	assert_int_equal(fake.claims, 1);
	assert_true(elsewhere(other_prunes, &o));
	broken(&o, "not the worker's own");
	close_all(&o);
}

static void sizes_and_answers(void **state)
{
	struct opened o = open_all(true);
	struct store_claim none = {.count = 0}, many = {.count = CLAIM_MAX + 1}, one = {.count = 1};
	assert_int_equal(store_claim(o.store, &none, 1, &o.err), -EIO);
	assert_int_equal(store_claim(o.store, &many, 1, &o.err), -EIO);
	broken(&o, "a claim of 385 batches");
	assert_int_equal(fake.claims, 0);
	answer = 1;
	assert_int_equal(store_claim(o.store, &one, 1, &o.err), -EIO);
	broken(&o, "claim answered 1");
	answer = -ETIMEDOUT; /* without a sentence */
	assert_int_equal(store_settle(o.store, NULL, 0, &o.err), -ETIMEDOUT);
	assert_int_equal(o.err.err, ETIMEDOUT);
	assert_true(o.err.text[0]);
	assert_int_equal(builder_prune(o.worker, 0, 1, 1, &o.err), -EIO);
	broken(&o, "read only");
	close_all(&o);
}

struct told {
	unsigned n;
	struct build_report r[16];
	bool reason[16];
};

static void tell(void *ctx, const struct build_report *r)
{
	struct told *t = ctx;
	t->reason[t->n] = r->err && r->err->text[0];
	t->r[t->n++] = *r;
}

/* What the schedule relies on: one outcome for each batch that has an attempt, whatever the engine says. */
static void one_outcome_a_batch(void **state)
{
	static const struct build_report reports[] = {
		{.outcome = BUILD_STARTED, .batch = 10, .attempt = 1},
		{.outcome = BUILD_STARTED, .batch = 10, .attempt = 1}, /* twice */
		{.outcome = BUILD_DONE, .batch = 10, .attempt = 1},
		{.outcome = BUILD_FAILED, .batch = 10, .attempt = 1}, /* after its outcome */
		{.outcome = BUILD_DONE, .batch = 11, .attempt = 9},   /* another attempt */
		{.outcome = BUILD_DONE, .batch = 14, .attempt = 1},   /* not of the run */
		{.outcome = BUILD_DONE, .batch = 9, .attempt = 1},    /* nor this one */
		{.outcome = BUILD_FAILED, .batch = 12, .attempt = 3}, /* no reason */
		{0},
	};
	const struct build_run run = {.first = 10, .count = 4, .attempt = {1, 2, 3, 0}};
	struct opened o = open_all(false);
	struct told t = {0};
	script = reports;
	assert_int_equal(builder_build(o.worker, &run, tell, &t, &o.err), 0);
	assert_int_equal(t.n, 4);
	assert_int_equal(t.r[0].outcome, BUILD_STARTED);
	assert_int_equal(t.r[1].outcome, BUILD_DONE);
	assert_int_equal(t.r[2].outcome, BUILD_FAILED);
	assert_int_equal(t.r[2].batch, 12);
	assert_true(t.reason[2]);
	assert_int_equal(t.r[3].outcome, BUILD_UNSTARTED);
	assert_int_equal(t.r[3].batch, 11);
	assert_true(t.r[3].started > 0 && t.r[3].finished == t.r[3].started);
	close_all(&o);
}

/* The reports of a run of model 0 that was claimed as `claimed` and is `present` now. */
static struct told build_after_reload(struct opened *o, const struct model *claimed,
				      const struct model *present)
{
	const struct build_run run = {.first = 10, .count = 1, .attempt = {1}, .facts = claimed};
	struct store_target target;
	struct told t = {0};
	assert_int_equal(store_enlist(o->store, &present, &target, 1, &o->err), 0);
	assert_int_equal(builder_build(o->worker, &run, tell, &t, &o->err), 0);
	return t;
}

/* Only the builder that it was claimed for knows who settles it. */
static void another_builder_leaves_it(void **state)
{
	static const struct build_report reports[] = {{.outcome = BUILD_DONE, .batch = 10, .attempt = 1},
						      {0}};
	const struct need need = {.kind = NEED_IS_INCREMENTAL};
	const struct model native = {0}, of_guest = {.needs = &need}, wrong = {.wrong = "it is"};
	const struct model *const all[] = {&native, &of_guest, &wrong};
	struct opened o = open_engine(&with_guest, false);
	script = reports;
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 3; k++) {
			struct told t = build_after_reload(&o, all[i], all[k]);
			assert_int_equal(t.n, 1);
			assert_int_equal(t.r[0].outcome, i == k ? BUILD_DONE : BUILD_UNSTARTED);
			assert_true(i == k || t.r[0].finished > 0);
		}
	close_all(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_before_its_time),   cmocka_unit_test(each_thread_its_own),
		cmocka_unit_test(sizes_and_answers),	     cmocka_unit_test(one_outcome_a_batch),
		cmocka_unit_test(another_builder_leaves_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

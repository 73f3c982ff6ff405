/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/build.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "backend/dbt/chunk.h"
#include "backend/dbt/source.h"
#include "backend/dbt/worker.h"

static bool take_event(void *ctx, const struct event *e)
{
	struct chunk *c = ctx;
	chunk_event(c, e);
	return !*c->stop;
}

static struct results results_of(const struct guest_worker *w, const struct chunk *c)
{
	struct results out = {0};
	auto_strbuf path = STRBUF_INIT;
	strbuf_printf(&path, "%s/target/run_results.json", w->dir ? w->dir : "");
	if (w->dir && !strbuf_broken(&path))
		results_read(path.str, c->invocation, c->m, c->first, c->count, &out);
	return out;
}

/* A manifest that was just written is in force within two seconds, on a busy machine later: the tries shall
 * not be over before that. Until the worker is interrupted. */
#define MOVED_WAIT_MS 500

static int check_source(struct guest_worker *w, const struct model *m, struct error *err)
{
	int r = source_check(w->home->config.project, m, err);
	if (r == -ESTALE)
		poll(&(struct pollfd){.fd = w->wake, .events = POLLIN}, 1, MOVED_WAIT_MS);
	return r;
}

/* One invocation. Whether the run goes on. */
static bool build_chunk(struct guest_worker *w, struct chunk *c)
{
	auto_words words = {0};
	struct error err = {0};
	struct invocation i = {.words = &words, .m = c->m, .event = take_event, .ctx = c};
	int r = home_end_left(w->home, &err);
	if (r == 0)
		r = dbt_place(w, &err);
	if (r == 0)
		r = check_source(w, c->m, &err);
	if (r == 0) {
		words_run(&words, &w->home->config, w->dir, c->m,
			  (struct ordinal_range){c->first, c->first + c->count}, c->run->anew);
		r = dbt_invoke(w, &i, &err);
	}
	struct chunk_end how = {.interrupted = i.interrupted, .code = i.code, .said = w->said};
	if (r < 0) {
		how.code = 1;
		snprintf(c->last_error, sizeof c->last_error, "%.890s", err.text);
	}
	struct results results = r < 0 ? (struct results){0} : results_of(w, c);
	return chunk_settle(c, &results, &how);
}

/* From i on: neighbours that are ours and wanted. Asked once, each is the chunk's from then on. */
static uint32_t wanted_from(const struct build_run *run, uint32_t i)
{
	uint32_t n = 0;
	while (i + n < run->count && run->attempt[i + n] && build_wanted(run, run->first + i + n))
		n++;
	return n;
}

int dbt_build(struct guest_worker *w, const struct model *m, const struct build_run *run,
	      build_report_fn *report, void *ctx, struct error *err)
{
	int r = dbt_enter(w, err);
	if (r == 0 && w->home->config.read_only)
		r = error_set(err, EROFS, "mounted with -o ro: nothing is built");
	uint32_t i = 0;
	for (bool on = r == 0; on && i < run->count;) {
		struct chunk c = {.clock = w->home->config.clock,
				  .m = m,
				  .run = run,
				  .first = run->first + i,
				  .count = wanted_from(run, i),
				  .report = report,
				  .ctx = ctx};
		if (c.count) {
			on = build_chunk(w, &c);
			i += c.count;
		} else {
			build_leave_out(run, i++, NULL, report, ctx);
		}
	}
	for (; i < run->count; i++)
		build_leave_out(run, i, NULL, report, ctx);
	dbt_leave(w);
	return r;
}

static void add_command(struct strbuf *out, const struct words *words)
{
	strbuf_puts(out, "--");
	for (size_t i = 0; i < words->n; i++)
		strbuf_printf(out, " %s", words->list[i]);
	strbuf_puts(out, "\n;\n");
}

int dbt_statements(struct guest *h, const struct model *m, struct ordinal_range batches, struct strbuf *out,
		   struct error *err)
{
	bool broken = false;
	strbuf_puts(out,
		    "-- dbt renders the statements. This is how it is called, in one call for neighbours:\n");
	for (ordinal o = batches.first; o < batches.end; o++) {
		auto_words words = {0};
		words_run(&words, &h->config, "DIR", m, (struct ordinal_range){o, o + 1}, false);
		add_command(out, &words);
		broken |= words.broken;
	}
	return broken ? error_set(err, ENOMEM, "no memory") : 0;
}

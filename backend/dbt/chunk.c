/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/chunk.h"

#include <stdio.h>
#include <string.h>

#include "backend/dbt/source.h"

/* Three invocations that fail alike with nothing built between are as many as ten batches. */
#define FIRST_WEIGHT 4

bool error_may_pass(const char *text)
{
	static const char *const passing[] = {
		"Could not set lock on file", /* DuckDB: another process has it open */
		"database is locked",	      /* SQLite */
		"deadlock detected",
		"could not serialize access",
		"terminating connection due to administrator command",
		SOURCE_MOVED,
	};
	for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
		if (strstr(text, passing[i]))
			return true;
	return false;
}

static void report(struct chunk *c, uint32_t i, enum build_outcome outcome, int64_t rows,
		   const struct error *err, unsigned weight)
{
	struct build_report r = {.outcome = outcome,
				 .batch = c->first + i,
				 .attempt = c->run->attempt[c->first + i - c->run->first],
				 .rows_deleted = -1,
				 .rows_inserted = rows,
				 .rows_outside = -1,
				 .err = err,
				 .weight = weight};
	int64_t now = clock_now_us(c->clock);
	if (outcome == BUILD_STARTED) {
		run_mark(&c->started, i);
		c->since[i] = now;
	} else {
		run_mark(&c->ended, i);
		r.finished = now;
	}
	r.started = c->since[i] ? c->since[i] : now;
	c->report(c->ctx, &r);
}

static void begin(struct chunk *c, uint32_t i)
{
	if (!run_marked(&c->started, i) && !run_marked(&c->ended, i))
		report(c, i, BUILD_STARTED, -1, NULL, 0);
}

static void done(struct chunk *c, uint32_t i, int64_t rows)
{
	begin(c, i);
	run_mark(&c->done, i);
	report(c, i, BUILD_DONE, rows, NULL, 0);
}

static void failed(struct chunk *c, uint32_t i, const char *text)
{
	struct error err = {0};
	error_set(&err, EIO, "%s", *text ? text : "dbt says no more than that it failed");
	begin(c, i);
	run_mark(&c->failed, i);
	bool passes = error_may_pass(text);
	/* dbt skips what follows the first one. */
	report(c, i, passes ? BUILD_PASSING : BUILD_FAILED, -1, &err, i == 0 ? FIRST_WEIGHT : 1);
}

/* The text of an exception, without dbt's words for where it was caught. */
static void keep(char *to, size_t size, const char *text)
{
	static const char where[] = "Exception on worker thread. ";
	if (strncmp(text, where, strlen(where)) == 0)
		text += strlen(where);
	size_t len = strlen(text);
	while (len && strchr(" \n\r\t", text[len - 1]))
		len--;
	/* Never within a character. */
	if (len >= size)
		for (len = size - 1; len && (text[len] & 0xc0) == 0x80;)
			len--;
	memcpy(to, text, len);
	to[len] = '\0';
}

static struct thread_error *error_of(struct chunk *c, const char *thread)
{
	for (size_t i = 0; i < CHUNK_THREADS; i++)
		if (strncmp(c->errors[i].thread, thread, sizeof c->errors[i].thread - 1) == 0)
			return &c->errors[i];
	return NULL;
}

static void keep_error(struct chunk *c, const struct event *e)
{
	struct thread_error *of = error_of(c, e->thread);
	keep(c->last_error, sizeof c->last_error, e->text);
	if (!of)
		of = error_of(c, "");
	if (!of || !*e->thread)
		return;
	snprintf(of->thread, sizeof of->thread, "%s", e->thread);
	keep(of->text, sizeof of->text, e->text);
}

/* The batch of the chunk that the event names. */
static bool batch_of(const struct chunk *c, const struct event *e, uint32_t *i)
{
	enum batch_size size;
	ordinal batch;
	if (strcmp(e->unique_id, c->m->unique_id) != 0 ||
	    !calendar_parse_name(e->batch, e->batch_len, &size, &batch) || size != c->m->batch_size)
		return false;
	*i = batch - c->first;
	return batch >= c->first && *i < c->count;
}

static void batch_ended(struct chunk *c, const struct event *e, uint32_t i)
{
	struct thread_error *of = error_of(c, e->thread);
	if (run_marked(&c->ended, i))
		return;
	switch (e->end) {
	case END_DONE:
		done(c, i, e->rows);
		break;
	case END_FAILED:
		failed(c, i, of && *e->thread ? of->text : c->last_error);
		break;
	case END_SKIPPED:
		run_mark(&c->skipped, i);
		break;
	}
	if (of && *e->thread)
		*of = (struct thread_error){0};
}

/* The project, the profile or the target may be others than those that the manifest was made with. */
static void check_relation(struct chunk *c, const struct event *e)
{
	if (strcmp(e->unique_id, c->m->unique_id) != 0 || !*e->relation ||
	    strcmp(e->relation, c->m->relation.rendered) == 0)
		return;
	snprintf(c->stop, sizeof c->stop,
		 "dbt builds %.80s and the manifest says %.80s: give project=, profiles= and target= as the "
		 "manifest was made with",
		 e->relation, c->m->relation.rendered);
}

void chunk_event(struct chunk *c, const struct event *e)
{
	uint32_t i;
	if (!*c->invocation)
		snprintf(c->invocation, sizeof c->invocation, "%s", e->invocation);
	check_relation(c, e);
	switch (e->kind) {
	case EVENT_NODES:
		if (e->number > 1)
			snprintf(c->stop, sizeof c->stop,
				 "dbt would run %lld nodes, and not %.100s alone: its name is that of a "
				 "folder, too",
				 (long long)e->number, c->m->unique_id);
		break;
	case EVENT_BATCH_STARTED:
		if (!*c->stop && batch_of(c, e, &i))
			begin(c, i);
		break;
	case EVENT_BATCH_ENDED:
		if (!*c->stop && batch_of(c, e, &i))
			batch_ended(c, e, i);
		break;
	case EVENT_ERROR:
		keep_error(c, e);
		break;
	case EVENT_GARBAGE:
	case EVENT_OTHER:
	case EVENT_SHOWN:
	case EVENT_READY:
	case EVENT_ENDED:
		break;
	}
}

/* Why a batch that dbt has begun has neither succeeded nor failed. */
static void why_unfinished(const struct chunk_end *how, struct error *err)
{
	const char *said = how->said;
	if (how->code < 0)
		error_set(err, EIO, "dbt was ended by signal %d while it built the batch%s%s", -how->code,
			  *said ? ": " : "", said);
	else
		error_set(err, EIO,
			  "dbt ended with %d while it built the batch, and neither its events nor "
			  "run_results.json say what became of it%s%s",
			  how->code, *said ? ": " : "", said);
}

/* Nothing was begun: the first batch tells why. */
static void none_begun(struct chunk *c, const struct chunk_end *how)
{
	char text[1100];
	const char *why = *c->stop ? c->stop : *c->last_error ? c->last_error : how->said;
	if (how->code < 0 && !*c->stop)
		snprintf(text, sizeof text, "dbt was ended by signal %d before its first batch%s%s",
			 -how->code, *why ? ": " : "", why);
	else if (how->code > 0 || *c->stop)
		snprintf(text, sizeof text, "%.890s", *why ? why : "dbt failed, and does not say why");
	else
		snprintf(
			text, sizeof text,
			"dbt ended well and has built no batch of %s: the project has no such model, or dbt does "
			"not run it by batches%s%s",
			c->m->unique_id, *why ? ": " : "", why);
	failed(c, 0, text);
}

static void settle_one(struct chunk *c, uint32_t i, const struct results *results,
		       const struct chunk_end *how)
{
	struct error err = {0};
	if (run_marked(&results->successful, i) && !run_marked(&c->skipped, i) && !*c->stop) {
		done(c, i, -1);
	} else if (!run_marked(&c->started, i) || run_marked(&c->skipped, i)) {
		report(c, i, BUILD_UNSTARTED, -1, NULL, 0);
	} else if (how->interrupted) {
		report(c, i, BUILD_INTERRUPTED, -1, NULL, 0);
	} else if (*c->stop) {
		failed(c, i, c->stop);
	} else if (run_marked(&results->failed, i)) {
		failed(c, i, *c->last_error ? c->last_error : results->message);
	} else {
		why_unfinished(how, &err);
		report(c, i, BUILD_PASSING, -1, &err, 0);
	}
}

/*
 * A batch is shown as done as soon as an event says so: in a long chunk that is minutes before
 * run_results.json is written, those who wait for the batch go on, and what a crash leaves behind is not
 * built again. Where the file denies it in the end, one of the two is wrong and nobody knows which, so that
 * the batch must not stay done. It fails and is not tried again by itself: what makes dbt contradict itself
 * would do so again.
 */
static void retract_denied(struct chunk *c, uint32_t i, const struct results *results)
{
	bool denied = run_marked(&results->failed, i);
	struct error err = {0};
	if (!denied && (!results->whole || run_marked(&results->successful, i)))
		return;
	error_set(&err, EIO,
		  "dbt's events say that it was built, and run_results.json of the same run %s: see what the "
		  "table holds, then touch it",
		  denied ? "that it failed" : "does not name it");
	run_mark(&c->failed, i);
	report(c, i, BUILD_RETRACTED, -1, &err, 0);
}

bool chunk_settle(struct chunk *c, const struct results *results, const struct chunk_end *how)
{
	if (run_marks_none(&c->started) && run_marks_none(&c->ended) && !how->interrupted &&
	    run_marks_none(&results->successful))
		none_begun(c, how);
	bool all_done = true;
	for (uint32_t i = 0; i < c->count; i++) {
		if (run_marked(&c->done, i))
			retract_denied(c, i, results);
		if (!run_marked(&c->ended, i))
			settle_one(c, i, results, how);
		all_done &= run_marked(&c->done, i) && !run_marked(&c->failed, i);
	}
	return !how->interrupted && all_done;
}

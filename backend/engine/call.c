/* SPDX-License-Identifier: Apache-2.0 */
/* What all wrappers have in common: the way into a call of an engine, and the way out. */
#include "backend/engine/private.h"

#include <stdarg.h>
#include <string.h>

static const char *const names[] = {
	[OP_OPEN] = "open",
	[OP_ENLIST] = "enlist",
	[OP_LOAD] = "load",
	[OP_FOLLOW] = "follow",
	[OP_CHECK] = "check",
	[OP_REQUEST] = "request",
	[OP_CLAIM] = "claim",
	[OP_SETTLE] = "settle",
	[OP_RETIRE] = "retire",
	[OP_FORGET_ANSWERS] = "forget_answers",
	[OP_RECODE] = "recode",
	[OP_ORPHANS] = "orphans",
	[OP_RECALL] = "recall",
	[OP_REMEMBER] = "remember",
	[OP_PREPARE] = "prepare",
	[OP_LOOK] = "look",
	[OP_BUILD] = "build",
	[OP_HISTORY] = "history",
	[OP_PRUNE] = "prune",
	[OP_REFRESH] = "refresh",
	[OP_CLEAR] = "clear",
	[OP_VALIDATE] = "validate",
	[OP_KEEP_VALIDATIONS] = "keep_validations",
	[OP_BESIDE] = "beside",
};
_Static_assert(sizeof names / sizeof *names == ENGINE_OPS, "every op has a name");

const char *engine_op_name(enum engine_op op)
{
	return names[op];
}

int broken_contract(const struct log *log, struct error *err, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_error(log, "broken contract: %s", text);
	return error_set(err, EIO, "an internal fault: %s", text);
}

void call_about(struct engine_call *call, const char *fmt, ...)
{
	if (!call->log || call->log->level < LOG_LEVEL_DEBUG)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(call->about, sizeof call->about, fmt, ap);
	va_end(ap);
}

int call_before(struct engine_call *call, struct error *err)
{
	const struct engine_layer *layer = call->engine->layer;
	int r = layer && call->op != OP_BUILD ? layer->before(layer, call, err) : 0;
	call->reached = r == 0;
	return r;
}

/* With the lock of the store. NULL: the call may be made. */
static const char *not_now(const struct open_store *s, enum store_phase least)
{
	if (!pthread_equal(s->control, pthread_self()))
		return "by a thread that is not the store's control thread";
	if (s->busy)
		return "while another call of the control thread is under way";
	if (s->phase < least)
		return least == PHASE_LOADED ? "before load" : "before enlist";
	return NULL;
}

int store_enter(struct open_store *s, struct engine_call *call, enum engine_op op, enum store_phase least,
		struct error *err)
{
	*call = (struct engine_call){
		.op = op, .engine = s->engine, .log = s->log, .begun = clock_monotonic_us()};
	const char *why;
	{
		LOCKED(&s->lock);
		why = not_now(s, least);
		if (!why)
			s->busy = true;
	}
	if (why)
		return broken_contract(s->log, err, "%s %s", names[op], why);
	call->store = s;
	return call_before(call, err);
}

int builder_enter(struct open_worker *w, struct engine_call *call, enum engine_op op, struct error *err)
{
	*call = (struct engine_call){
		.op = op, .engine = w->store->engine, .log = w->store->log, .begun = clock_monotonic_us()};
	const char *why = NULL;
	{
		LOCKED(&w->lock);
		if (!pthread_equal(w->owner, pthread_self()))
			why = "by a thread that is not the worker's own";
		else if (w->busy)
			why = "while another call of the worker is under way";
		else
			w->busy = true;
	}
	if (why)
		return broken_contract(w->store->log, err, "%s %s", names[op], why);
	call->store = w->store;
	call->worker = w;
	return call_before(call, err);
}

bool engine_call_ended(const struct engine_call *call)
{
	if (call->worker) {
		LOCKED(&call->worker->lock);
		if (call->worker->interrupted)
			return true;
	}
	if (!call->store)
		return false;
	LOCKED(&call->store->lock);
	return call->store->abandoned;
}

/* follow() ends every second without news; its successes would be most of the log. */
static void write_down(const struct engine_call *call, int r, const struct error *err)
{
	if (r == 0 && call->op == OP_FOLLOW)
		return;
	log_debug(call->log, "%s %s%s%s: %s%s%s (%lld us)", call->engine->name, names[call->op],
		  call->about[0] ? " " : "", call->about, r < 0 ? error_name(-r) : "done",
		  r < 0 && err ? ": " : "", r < 0 && err ? err->text : "",
		  (long long)(clock_monotonic_us() - call->begun));
}

int call_leave(struct engine_call *call, int r, struct error *err)
{
	const struct engine_layer *layer = call->engine->layer;
	if (r > 0)
		r = broken_contract(call->log, err, "%s answered %d", names[call->op], r);
	if (call->reached && layer && call->op != OP_BUILD)
		r = layer->after(layer, call, r, err);
	if (r < 0 && err && err->err != -r)
		error_set(err, -r, "%s: %s", names[call->op], strerror(-r));
	write_down(call, r, err);
	if (call->worker) {
		LOCKED(&call->worker->lock);
		call->worker->busy = call->worker->interrupted = false;
	} else if (call->store) {
		LOCKED(&call->store->lock);
		call->store->busy = false;
	}
	return r;
}

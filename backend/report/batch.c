/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "backend/report/report.h"
#include "backend/report/writer.h"

static void write_name(struct writer *w, const char *key, const struct model *m, ordinal batch)
{
	char name[CALENDAR_NAME_MAX];
	calendar_name(m->batch_size, batch, name);
	write_text(w, key, name);
}

static void write_who(struct writer *w, const char *key, const struct requester *by)
{
	write_open(w, key, '{');
	write_int(w, "uid", by->uid);
	write_text(w, "command", by->command);
	write_close(w, '}');
}

static void write_requested_by(struct writer *w, const struct batch_info *i)
{
	if (i->by)
		write_who(w, "requested_by", i->by);
	else
		write_null(w, "requested_by");
	write_text(w, "reason", i->by ? i->by->reason : NULL);
}

static void write_error(struct writer *w, const struct batch_info *i)
{
	if (i->state != BATCH_FAILED && !*i->message) {
		write_null(w, "error");
		return;
	}
	write_open(w, "error", '{');
	write_text(w, "sqlstate", i->sqlstate);
	write_text(w, "message", i->message);
	write_close(w, '}');
}

static void write_because(struct writer *w, const struct report_batch *r)
{
	if (!r->n_because) {
		write_null(w, "because");
		return;
	}
	write_open(w, "because", '[');
	for (size_t i = 0; i < r->n_because; i++) {
		/* A model's directory has a name of at most NAME_MAX bytes. */
		char text[256 + CALENDAR_NAME_MAX], name[CALENDAR_NAME_MAX];
		calendar_name(r->because[i].model->batch_size, r->because[i].batch, name);
		snprintf(text, sizeof text, "%s/%s", r->because[i].model->dir, name);
		write_text(w, NULL, text);
	}
	write_close(w, ']');
}

static void write_frozen(struct writer *w, const struct batch_info *i)
{
	if (!i->frozen) {
		write_bool(w, "frozen", false);
		return;
	}
	write_open(w, "frozen", '{');
	write_who(w, "by", i->frozen);
	write_time(w, "at", i->frozen_at);
	write_close(w, '}');
}

static void write_code(struct writer *w, const struct report_batch *r)
{
	const char *code = r->info->code;
	bool known = code && *code;
	write_text(w, "code", !known ? NULL : strcmp(code, r->model->code) == 0 ? "same" : "changed");
}

static void write_refusal(struct writer *w, const struct report_refusal *r)
{
	if (!r) {
		write_null(w, "last_refusal");
		return;
	}
	write_open(w, "last_refusal", '{');
	write_time(w, "at", r->at);
	write_text(w, "errno", error_name(r->err));
	write_text(w, "message", r->message);
	write_close(w, '}');
}

static void write_batch(struct writer *w, const struct report_batch *r)
{
	const struct batch_info *i = r->info;
	const struct model *m = r->model;
	bool timed = i->finished && i->started && !i->adopted;
	write_open(w, NULL, '{');
	write_text(w, "model", m->dir);
	write_name(w, "batch", m, r->batch);
	write_text(w, "state", batch_state_name(i->state));
	write_instant(w, "start", calendar_start(m->batch_size, r->batch));
	write_instant(w, "end", calendar_start(m->batch_size, r->batch + 1));
	write_int(w, "attempt", i->attempt);
	write_count(w, "rows_deleted", i->rows_deleted);
	write_count(w, "rows_inserted", i->rows_inserted);
	write_count(w, "rows_outside", i->rows_outside);
	write_time(w, "started_at", i->started);
	write_time(w, "finished_at", i->finished);
	write_seconds(w, "seconds", timed ? i->finished - i->started : -1);
	write_requested_by(w, i);
	write_error(w, i);
	write_because(w, r);
	write_bool(w, "adopted", i->adopted);
	write_frozen(w, i);
	write_code(w, r);
	write_bool(w, "requested_again", i->requested_again);
	write_text(w, "builder", r->builder);
	write_refusal(w, r->refusal);
	write_close(w, '}');
	write_end(w);
}

size_t report_batch_size(const struct report_batch *r)
{
	struct writer w = {.out = NULL};
	write_batch(&w, r);
	return w.len;
}

int report_batch(const struct report_batch *r, struct strbuf *out)
{
	struct writer w = {.out = out};
	write_batch(&w, r);
	return strbuf_broken(out) ? -ENOMEM : 0;
}

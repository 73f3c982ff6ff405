/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/report/json.h"

/* The keys, the numbers at their longest, a last_refusal with its message escaped. */
#define FIXED_PART 1500
#define BLOCK	   512

size_t report_batch_size(const struct model *m, size_t text)
{
	/* Escaping at most doubles a text: control characters are replaced before it is shown. */
	size_t need = FIXED_PART + 2 * strlen(m->dir) + 2 * text;
	return (need + BLOCK - 1) / BLOCK * BLOCK;
}

static json_t *text_value(const char *text)
{
	json_t *value = json_text(text);
	const char *s = value && json_is_string(value) ? json_string_value(value) : "";
	bool control = false;
	for (const char *c = s; *c; c++)
		control |= (unsigned char)*c < 0x20 && *c != '\n' && *c != '\t';
	if (!control)
		return value;
	char *copy = strdup(s);
	for (char *c = copy; c && *c; c++)
		if ((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t')
			*c = ' ';
	json_decref(value);
	value = copy ? json_string(copy) : NULL;
	free(copy);
	return value;
}

static json_t *error_value(const struct batch_info *i)
{
	if (i->state != BATCH_FAILED && !*i->message)
		return json_null();
	return json_pack("{s:o, s:o}", "sqlstate", json_text(i->sqlstate), "message", text_value(i->message));
}

static json_t *requested_by(const struct batch_info *i)
{
	if (!i->by)
		return json_null();
	return json_pack("{s:I, s:o}", "uid", (json_int_t)i->by->uid, "command", json_text(i->by->command));
}

static json_t *frozen(const struct batch_info *i)
{
	if (!i->frozen)
		return json_false();
	return json_pack("{s:{s:I, s:o}, s:o}", "by", "uid", (json_int_t)i->frozen->uid, "command",
			 json_text(i->frozen->command), "at", json_time(i->frozen_at));
}

static json_t *code_value(const struct report_batch *r)
{
	if (!r->info->code || !*r->info->code)
		return json_null();
	return json_string(strcmp(r->info->code, r->model->code) == 0 ? "same" : "changed");
}

static json_t *because(const struct report_batch *r)
{
	json_t *array = r->n_because ? json_array() : json_null();
	for (size_t i = 0; array && i < r->n_because; i++) {
		char name[CALENDAR_NAME_MAX];
		calendar_name(r->because[i].model->batch_size, r->because[i].batch, name);
		json_array_append_new(array, json_sprintf("%s/%s", r->because[i].model->dir, name));
	}
	return array;
}

static json_t *batch_object(const struct report_batch *r)
{
	const struct batch_info *i = r->info;
	const struct model *m = r->model;
	bool ended = i->finished && i->started;
	json_t *o = json_pack(
		"{s:s, s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, "
		"s:o, s:b, s:s}",
		"model", m->dir, "batch", json_name(m, r->batch), "state", batch_state_name(i->state),
		"start", json_instant(calendar_start(m->batch_size, r->batch)), "end",
		json_instant(calendar_start(m->batch_size, r->batch + 1)), "attempt", (json_int_t)i->attempt,
		"rows_deleted", json_count(i->rows_deleted), "rows_inserted", json_count(i->rows_inserted),
		"rows_outside", json_count(i->rows_outside), "started_at", json_time(i->started),
		"finished_at", json_time(i->finished), "seconds",
		ended && !i->adopted ? json_seconds(i->finished - i->started) : json_null(), "requested_by",
		requested_by(i), "reason", text_value(i->by ? i->by->reason : NULL), "error", error_value(i),
		"because", because(r), "adopted", i->adopted, "frozen", frozen(i), "code", code_value(r),
		"requested_again", i->requested_again, "engine", r->engine);
	if (o && json_object_set_new(o, "last_refusal", json_refusal(r->refusal)) < 0) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int report_batch(const struct report_batch *r, size_t text, struct strbuf *out)
{
	size_t before = out->len, size = report_batch_size(r->model, text);
	int err = json_finish(batch_object(r), out);
	if (err < 0)
		return err;
	size_t len = out->len - before;
	if (len < size) {
		/* The newline stays last: blanks go before it. */
		strbuf_fill(out, ' ', size - len);
		if (!strbuf_broken(out)) {
			out->str[before + len - 1] = ' ';
			out->str[before + size - 1] = '\n';
		}
	}
	return strbuf_broken(out) ? -ENOMEM : 0;
}

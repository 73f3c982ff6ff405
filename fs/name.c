/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/name.h"

#include <errno.h>
#include <string.h>

#include "fs/node.h"

/* Cuts `tail` off the text's end. */
static bool strip(const char *text, size_t *len, const char *tail)
{
	size_t n = strlen(tail);

	if (*len < n || memcmp(text + *len - n, tail, n) != 0)
		return false;
	*len -= n;
	return true;
}

static int parse_range(const char *text, size_t len, const char *dashes, struct span *out)
{
	size_t start_len = (size_t)(dashes - text);
	enum batch_size start_size, end_size;
	ordinal start, end;

	if (!calendar_parse_loose_name(text, start_len, &start_size, &start) ||
	    !calendar_parse_loose_name(dashes + 2, len - start_len - 2, &end_size, &end))
		return -ENOENT;
	*out = (struct span){calendar_start(start_size, start), calendar_start(end_size, end)};
	return out->start_us < out->end_us ? 0 : -EINVAL;
}

static int parse_single(const enum batch_size *size, const char *text, size_t len, struct name *out)
{
	enum batch_size named;
	ordinal o;

	if (!calendar_parse_loose_name(text, len, &named, &o) || (size && named < *size))
		return -ENOENT;
	if (size && named == *size) {
		/* A batch has one name, which the listing shows; only what it does not list may be short. */
		if (!calendar_parse_name(text, len, &named, &o))
			return -ENOENT;
		out->kind = NODE_BATCH;
	}
	out->span = (struct span){calendar_start(named, o), calendar_start(named, o + 1)};
	return 0;
}

/* A batch, a period, a range or nothing, with or without a state. size NULL: in a selection. */
static int parse_batches(const enum batch_size *size, const char *text, size_t len, struct name *out)
{
	const char *dot = memchr(text, '.', len);
	size_t base_len = dot ? (size_t)(dot - text) : len;
	const char *dashes = memmem(text, base_len, "--", 2);
	enum batch_state state = BATCH_STATES;
	bool changed = dot && len - base_len - 1 == strlen(SET_CHANGED_NAME) &&
		       memcmp(dot + 1, SET_CHANGED_NAME, len - base_len - 1) == 0;

	out->kind = NODE_RANGE;
	if (dot && !changed && !batch_state_parse(dot + 1, len - base_len - 1, &state))
		return -ENOENT;
	int r = 0;
	if (base_len == 0)
		out->span = SPAN_EVERYTHING;
	else if (dashes)
		r = parse_range(text, base_len, dashes, &out->span);
	else
		r = parse_single(size, text, base_len, out);
	if (r || !dot)
		return r;
	/* No suffix in a listing: a name of one batch is no set. */
	if (out->kind == NODE_BATCH && (changed || state == BATCH_DONE))
		return -ENOENT;
	if (out->kind == NODE_BATCH)
		out->suffix = suffix_of(state);
	else
		out->states = changed ? SET_CHANGED : 1u << state;
	return 0;
}

static bool is_text(const char *text, size_t len, const char *name)
{
	return len == strlen(name) && memcmp(text, name, len) == 0;
}

static int parse_progress(const enum batch_size *size, const char *text, size_t len, struct name *out)
{
	int r = 0;

	if (is_text(text, len, NAME_RUN) || is_text(text, len, NAME_FULL_REFRESH))
		out->span = SPAN_EVERYTHING;
	else
		r = parse_batches(size, text, len, out);
	out->kind = NODE_PROGRESS;
	return r;
}

/* Of a batch it is of whatever state: a name with a suffix is none. */
static int parse_validate(const enum batch_size *size, const char *text, size_t len, bool json,
			  struct name *out)
{
	int r = len ? parse_batches(size, text, len, out) : -ENOENT;

	if (r || out->suffix)
		return r ? r : -ENOENT;
	if (out->kind == NODE_BATCH)
		out->kind = json ? NODE_BATCH_VALIDATE_JSON : NODE_BATCH_VALIDATE;
	else
		out->kind = json ? NODE_RANGE_VALIDATE_JSON : NODE_RANGE_VALIDATE;
	return 0;
}

struct ordinal_range name_batches(enum batch_size size, struct span span)
{
	if (span.start_us == INT64_MIN)
		return NAME_EVERY_BATCH;
	return calendar_touched(size, span.start_us, span.end_us);
}

static int parse(enum batch_size size, const char *text, struct name *out)
{
	if (strip(text, &out->len, ".progress"))
		return parse_progress(&size, text, out->len, out);
	bool json = strip(text, &out->len, VALIDATE_NAME ".json");
	if (json || strip(text, &out->len, VALIDATE_NAME))
		return parse_validate(&size, text, out->len, json, out);
	bool sql = strip(text, &out->len, ".sql");
	if (out->len == 0)
		return -ENOENT;
	int r = parse_batches(&size, text, out->len, out);
	if (r || !sql)
		return r;
	if (out->suffix || out->states)
		return -ENOENT;
	out->kind = out->kind == NODE_BATCH ? NODE_BATCH_SQL : NODE_RANGE_SQL;
	return 0;
}

int name_parse(enum batch_size size, const char *text, struct name *out)
{
	*out = (struct name){.kind = NODE_ROOT, .len = strlen(text)};
	int r = parse(size, text, out);
	if (r == 0)
		out->batches = name_batches(size, out->span);
	return r;
}

int name_parse_in_selection(const char *text, struct name *out)
{
	*out = (struct name){.kind = NODE_ROOT, .len = strlen(text)};
	if (strip(text, &out->len, ".progress"))
		return parse_progress(NULL, text, out->len, out);
	bool json = strip(text, &out->len, VALIDATE_NAME ".json");
	if (json || strip(text, &out->len, VALIDATE_NAME))
		return parse_validate(NULL, text, out->len, json, out);
	return out->len ? parse_batches(NULL, text, out->len, out) : -ENOENT;
}

size_t name_format(enum batch_size size, ordinal batch, uint8_t suffix, char buf[BATCH_FILE_NAME_MAX])
{
	size_t len = calendar_name(size, batch, buf);

	if (!suffix)
		return len;
	const char *word = batch_state_name(suffix_state(suffix));
	size_t word_len = strlen(word);
	buf[len++] = '.';
	memcpy(buf + len, word, word_len + 1);
	return len + word_len;
}

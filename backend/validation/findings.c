/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/validation/findings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"

static const char *const words[PROBLEM_KINDS] = {
	[PROBLEM_EMPTY] = "empty",     [PROBLEM_COUNT] = "count",   [PROBLEM_DUPLICATE] = "duplicate",
	[PROBLEM_OUTSIDE] = "outside", [PROBLEM_EXPECT] = "expect", [PROBLEM_NO_EVENT_TIME] = "no_event_time",
};

const char *problem_word(enum problem_kind kind)
{
	return words[kind];
}

#define GAP "gap"
#define CUT "cut"
#define ONE "one"

/* Cut between two characters; what would end the field or the line is a blank. */
static void put_detail(struct strbuf *out, const char *text)
{
	size_t len = strlen(text);
	if (len > PROBLEM_DETAIL_MAX) {
		len = PROBLEM_DETAIL_MAX;
		while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--;
	}
	for (size_t i = 0; i < len; i++)
		strbuf_putc(out, (unsigned char)text[i] < ' ' ? ' ' : text[i]);
}

void findings_put_problem(struct strbuf *out, enum batch_size size, const struct problem *p)
{
	strbuf_printf(out, "%s\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t%" PRId64 "\t",
		      words[p->kind], p->of_table ? INT64_MIN : calendar_start(size, p->batch), p->rows,
		      p->recorded, p->input_rows, p->duplicates);
	put_detail(out, p->detail);
	strbuf_putc(out, '\n');
}

void findings_put_gap(struct strbuf *out, enum batch_size size, struct ordinal_range gap)
{
	strbuf_printf(out, GAP "\t%" PRId64 "\t%" PRId64 "\n", calendar_start(size, gap.first),
		      calendar_start(size, gap.end));
}

void findings_put_cut(struct strbuf *out, enum batch_size size, ordinal batch)
{
	strbuf_printf(out, CUT "\t%" PRId64 "\n", calendar_start(size, batch));
}

void findings_put_one(struct strbuf *out, int64_t rows, int64_t recorded)
{
	strbuf_printf(out, ONE "\t%" PRId64 "\t%" PRId64 "\n", rows, recorded);
}

static bool is_start(int64_t us)
{
	return us >= CALENDAR_MIN_US && us <= CALENDAR_END_US;
}

static int grow(void **list, size_t n, size_t each)
{
	/* At powers of two. */
	if (n & (n - 1))
		return 0;
	void *more = reallocarray(*list, n ? 2 * n : 1, each);
	if (!more)
		return -ENOMEM;
	*list = more;
	return 0;
}

static int parse_problem(const char *line, size_t len, enum batch_size size, struct findings *out)
{
	struct problem p = {.kind = PROBLEM_KINDS};
	char word[16];
	int64_t start;
	int used = 0;
	if (sscanf(line, "%15[a-z_]\t%" SCNd64 "\t%" SCNd64 "\t%" SCNd64 "\t%" SCNd64 "\t%" SCNd64 "%n", word,
		   &start, &p.rows, &p.recorded, &p.input_rows, &p.duplicates, &used) != 6 ||
	    (size_t)used >= len || line[used] != '\t')
		return -EINVAL;
	for (int k = 0; k < PROBLEM_KINDS; k++)
		if (strcmp(word, words[k]) == 0)
			p.kind = (enum problem_kind)k;
	p.of_table = start == INT64_MIN;
	if (p.kind == PROBLEM_KINDS || (!p.of_table && !is_start(start)))
		return -EINVAL;
	p.batch = p.of_table ? 0 : calendar_ordinal(size, start);
	if (grow((void **)&out->list, out->n, sizeof *out->list))
		return -ENOMEM;
	p.detail = strndup(line + used + 1, len - (size_t)used - 1);
	if (!p.detail)
		return -ENOMEM;
	out->list[out->n++] = p;
	return 0;
}

static int parse_line(const char *line, size_t len, enum batch_size size, struct findings *out)
{
	int64_t a, b;
	if (sscanf(line, GAP "\t%" SCNd64 "\t%" SCNd64, &a, &b) == 2 && is_start(a) && is_start(b)) {
		if (grow((void **)&out->gaps, out->n_gaps, sizeof *out->gaps))
			return -ENOMEM;
		out->gaps[out->n_gaps++] = calendar_touched(size, a, b);
		return 0;
	}
	if (sscanf(line, CUT "\t%" SCNd64, &a) == 1 && is_start(a)) {
		out->complete_to = calendar_ordinal(size, a);
		return 0;
	}
	if (sscanf(line, ONE "\t%" SCNd64 "\t%" SCNd64, &a, &b) == 2) {
		out->rows = a;
		out->recorded = b;
		return 0;
	}
	return parse_problem(line, len, size, out);
}

int findings_parse(const char *text, enum batch_size size, struct findings *out)
{
	int r = 0;
	*out = (struct findings){.complete_to = UINT32_MAX, .rows = -1, .recorded = -1};
	for (const char *end; *text && r == 0; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		/* A line alone: nothing is read beyond its end. */
		auto_free char *line = strndup(text, (size_t)(end - text));
		r = line ? parse_line(line, (size_t)(end - text), size, out) : -ENOMEM;
	}
	if (r)
		findings_fini(out);
	return r;
}

void findings_fini(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->list[i].detail);
	free(f->list);
	free(f->gaps);
	*f = (struct findings){.n = 0};
}

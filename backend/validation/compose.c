/* SPDX-License-Identifier: Apache-2.0 */
/* The report of a stretch, of the validations that have looked at it. */
#include <stdlib.h>

#include "backend/validation/list.h"

struct composing {
	const struct validation_list *l;
	enum batch_size size;
	struct ordinal_range part;
	bool whole;
	size_t base; /* the last one that looked at all of it; those behind it at parts of it */
};

static struct ordinal_range meet(struct ordinal_range a, struct ordinal_range b)
{
	struct ordinal_range r = {a.first > b.first ? a.first : b.first, a.end < b.end ? a.end : b.end};
	if (r.end < r.first)
		r.end = r.first;
	return r;
}

static bool is_empty(struct ordinal_range r)
{
	return r.first >= r.end;
}

static bool covers(const struct composing *c, const struct validation_record *r)
{
	if (r->v.state != VALIDATION_DONE || (c->whole && !validation_is_whole(&r->v)))
		return false;
	if (c->whole)
		return true;
	/* What has come since it was looked at was not there to be looked at. */
	struct ordinal_range then = {0, calendar_ordinal(c->size, r->v.at) + 1};
	struct ordinal_range part = meet(c->part, then);
	if (is_empty(part) || part.first < r->v.looked.first || part.end > r->v.looked.end)
		return false;
	return part.end <= r->findings.complete_to ||
	       (c->part.first <= r->v.looked.first && part.end >= r->v.looked.end);
}

/* The last one that has looked at the batch. */
static const struct validation_record *owner(const struct composing *c, ordinal batch)
{
	for (size_t i = c->l->n; i-- > c->base;) {
		const struct validation_record *r = c->l->list[i];
		if (r->v.state == VALIDATION_DONE && batch >= r->v.looked.first && batch < r->v.looked.end)
			return r;
	}
	return NULL;
}

/* How many of the batches were not built when they were looked at. */
static int64_t gaps_in(const struct findings *f, struct ordinal_range range)
{
	int64_t n = 0;
	for (size_t i = 0; i < f->n_gaps; i++) {
		struct ordinal_range gap = meet(f->gaps[i], range);
		n += gap.end - gap.first;
	}
	return n;
}

/* Where, behind `from`, another validation may be the last one. */
static ordinal next_border(const struct composing *c, ordinal from)
{
	ordinal next = c->part.end;
	for (size_t i = c->base; i < c->l->n; i++) {
		const struct ordinal_range *looked = &c->l->list[i]->v.looked;
		if (looked->first > from && looked->first < next)
			next = looked->first;
		if (looked->end > from && looked->end < next)
			next = looked->end;
	}
	return next;
}

static void count(const struct composing *c, struct validation_part *out)
{
	for (ordinal from = c->part.first; from < c->part.end;) {
		ordinal end = next_border(c, from);
		const struct validation_record *r = owner(c, from);
		if (r) {
			int64_t gaps = gaps_in(&r->findings, (struct ordinal_range){from, end});
			out->pending += gaps;
			out->batches += end - from - gaps;
		}
		from = end;
	}
}

static int by_batch(const void *a, const void *b)
{
	const struct problem *x = *(const struct problem *const *)a, *y = *(const struct problem *const *)b;
	if (x->of_table != y->of_table)
		return x->of_table ? -1 : 1;
	if (x->batch != y->batch)
		return x->batch < y->batch ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

/* Of the table as a whole: what lies in no batch is told of the whole alone, a wrong query of every part. */
static bool is_of_all(const struct composing *c, const struct problem *p, size_t record)
{
	return record == c->base && (c->whole || p->kind == PROBLEM_EXPECT);
}

static int collect(const struct composing *c, struct validation_part *out)
{
	size_t most = 0;
	for (size_t i = c->base; i < c->l->n; i++)
		most += c->l->list[i]->findings.n;
	out->list = calloc(most + 1, sizeof *out->list);
	if (!out->list)
		return -ENOMEM;
	for (size_t i = c->base; i < c->l->n; i++) {
		const struct validation_record *r = c->l->list[i];
		for (size_t k = 0; k < r->findings.n; k++) {
			const struct problem *p = &r->findings.list[k];
			bool in = p->of_table ? is_of_all(c, p, i)
					      : p->batch >= c->part.first && p->batch < c->part.end &&
							owner(c, p->batch) == r;
			if (in)
				out->list[out->n++] = p;
		}
	}
	qsort(out->list, out->n, sizeof *out->list, by_batch);
	/* Of many, not all are listed. */
	const struct validation_record *base = c->l->list[c->base];
	bool all = c->whole || (c->part.first <= base->v.looked.first && c->part.end >= base->v.looked.end);
	out->found = (int64_t)out->n;
	if (all && base->findings.complete_to != UINT32_MAX)
		out->found += base->v.found - (int64_t)base->findings.n;
	return 0;
}

static const struct validation_record *under_way(const struct composing *c)
{
	for (size_t i = 0; i < c->l->n; i++) {
		const struct validation_record *r = c->l->list[i];
		if (r->v.state == VALIDATION_ASKED && (c->whole || !is_empty(meet(r->v.batches, c->part))))
			return r;
	}
	return NULL;
}

int validation_compose(const struct validation_list *l, enum batch_size size, struct ordinal_range part,
		       bool whole, struct validation_part *out)
{
	struct composing c = {.l = l, .size = size, .part = part, .whole = whole};
	*out = (struct validation_part){.rows = -1, .recorded = -1};
	out->under_way = under_way(&c);
	for (c.base = l->n; c.base > 0 && !covers(&c, l->list[c.base - 1]);)
		c.base--;
	if (c.base-- == 0)
		return 0;
	const struct validation_record *base = l->list[c.base];
	out->covered = true;
	out->at = base->v.at;
	const struct validation_record *last = part.end - part.first == 1 ? owner(&c, part.first) : NULL;
	if (last) {
		out->rows = last->findings.rows;
		out->recorded = last->findings.recorded;
	}
	count(&c, out);
	return collect(&c, out);
}

void validation_part_fini(struct validation_part *p)
{
	free(p->list);
	p->list = NULL;
	p->n = 0;
}

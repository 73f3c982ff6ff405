/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/failure_snapshot.h"

#include <stdlib.h>

#include "fs/scope.h"

/* Neighbours that are wrong since attempts of the same number. */
struct run {
	size_t part; /* of the scope */
	struct backend_wrong wrong;
};

/* What is well takes no room: the reader of a large set does not pay for it. */
struct failure_snapshot {
	struct scope scope;
	struct run *runs; /* by part and batch */
	size_t n, room;
};

static bool add(struct failure_snapshot *s, size_t part, const struct backend_wrong *wrong)
{
	if (s->n == s->room) {
		size_t room = s->room ? 2 * s->room : 8;
		struct run *more = realloc(s->runs, room * sizeof(*more));
		if (!more)
			return false;
		s->runs = more;
		s->room = room;
	}
	s->runs[s->n++] = (struct run){part, *wrong};
	return true;
}

static bool take(struct failure_snapshot *s, const struct backend *b)
{
	for (size_t i = 0; i < s->scope.n; i++) {
		const struct backend_part *p = &scope_list(&s->scope)[i];
		struct backend_wrong wrong;
		ordinal from = p->batches.first;
		for (; backend_next_wrong(b, p->model, (struct ordinal_range){from, p->batches.end}, &wrong);
		     from = wrong.batches.end)
			if (!add(s, i, &wrong))
				return false;
	}
	return true;
}

struct failure_snapshot *failure_snapshot_take(const struct backend *b, const struct scope *scope)
{
	struct failure_snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	if (scope_copy(&s->scope, scope) == 0 && take(s, b))
		return s;
	failure_snapshot_free(s);
	return NULL;
}

void failure_snapshot_free(struct failure_snapshot *s)
{
	if (!s)
		return;
	scope_fini(&s->scope);
	free(s->runs);
	free(s);
}

/* Whether all of it was wrong then, since the same attempts. *at: the first run that may matter, moved on. */
static bool was_wrong(const struct failure_snapshot *s, size_t part, const struct backend_wrong *now,
		      size_t *at)
{
	ordinal from = now->batches.first;

	for (; *at < s->n && from < now->batches.end; ++*at) {
		const struct run *r = &s->runs[*at];
		if (r->part < part || (r->part == part && r->wrong.batches.end <= from))
			continue;
		if (r->part > part || r->wrong.batches.first > from || r->wrong.attempt != now->attempt)
			return false;
		from = r->wrong.batches.end;
		if (from >= now->batches.end)
			return true;
	}
	return false;
}

bool failure_snapshot_has_grown(const struct failure_snapshot *s, const struct backend *b)
{
	size_t at = 0;

	for (size_t i = 0; i < s->scope.n; i++) {
		const struct backend_part *p = &scope_list(&s->scope)[i];
		struct backend_wrong now;
		ordinal from = p->batches.first;
		for (; backend_next_wrong(b, p->model, (struct ordinal_range){from, p->batches.end}, &now);
		     from = now.batches.end)
			if (!was_wrong(s, i, &now, &at))
				return true;
	}
	return false;
}

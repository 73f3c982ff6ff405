/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/held.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/log.h"
#include "backend/ledger.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/look.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refuse.h"
#include "backend/schedule/request.h"
#include "backend/schedule/runtime.h"

/* Its models, for which it counts as something to come until it is answered. */
struct hold {
	struct backend *b;
	void (*done)(void *ctx, int result);
	void *ctx;
	bool counted;
	size_t n;
	slot models[];
};

struct held_request {
	STAILQ_ENTRY(held_request) link;
	struct backend_request r; /* with what it points to: ours */
	struct backend_file file;
	struct ask_group *group;
	struct hold *hold; /* the group's */
	uint64_t tail;	   /* of its chain of tickets */
	uint64_t *checks;  /* of each part: until it is over the states may be of a table that has gone */
	bool sent;
	struct backend_part *parts;
	char *reason, *selection, *name;
	enum part_stage stages[];
};

static void free_held(struct held_request *h)
{
	free(h->parts);
	free(h->checks);
	free(h->reason);
	free(h->selection);
	free(h->name);
	free(h);
}

/* What is asked for by name does not depend on a state; nor does it on a look, where it is the want of one.
 */
static bool by_state(const struct backend_request *r, const struct backend_part *p)
{
	return r->run || (p->states & ~(1u << BATCH_UNKNOWN)) != 0;
}

bool held_must_wait(const struct backend_request *r)
{
	for (size_t i = 0; i < r->n_parts; i++)
		if (by_state(r, &r->parts[i]))
			return true;
	return false;
}

static bool copy_text(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

/* Without the lock. It is recorded, or never will be. */
static void answered(void *ctx, int result)
{
	struct hold *hold = ctx;
	if (hold->counted) {
		LOCKED(&hold->b->lock);
		for (size_t i = 0; i < hold->n; i++)
			hold->b->runtime[hold->models[i]].held--;
	}
	for (size_t i = 0; hold->counted && i < hold->n; i++)
		changed(hold->b, hold->models[i], backend_existing(hold->b, hold->models[i]));
	hold->done(hold->ctx, result);
	free(hold);
}

static struct hold *hold_new(struct backend *b, const struct backend_request *r)
{
	struct hold *hold = calloc(1, sizeof *hold + r->n_parts * sizeof hold->models[0]);
	if (!hold)
		return NULL;
	*hold = (struct hold){.b = b, .done = r->done, .ctx = r->ctx, .n = r->n_parts};
	for (size_t i = 0; i < r->n_parts; i++)
		hold->models[i] = r->parts[i].model;
	return hold;
}

static struct held_request *held_new(struct backend *b, const struct backend_request *r)
{
	struct held_request *h = calloc(1, sizeof *h + r->n_parts * sizeof h->stages[0]);
	if (!h)
		return NULL;
	h->r = *r;
	h->parts = calloc(r->n_parts + 1, sizeof *h->parts);
	h->checks = calloc(r->n_parts + 1, sizeof *h->checks);
	h->hold = hold_new(b, r);
	h->group = h->hold ? group_new(answered, h->hold) : NULL;
	bool whole = h->parts && h->checks && h->group && copy_text(&h->reason, r->reason) &&
		     copy_text(&h->selection, r->file ? r->file->selection : NULL) &&
		     copy_text(&h->name, r->file ? r->file->name : NULL);
	if (!whole) {
		free(h->group);
		free(h->hold);
		free_held(h);
		return NULL;
	}
	memcpy(h->parts, r->parts, r->n_parts * sizeof *h->parts);
	h->r.parts = h->parts;
	h->r.reason = h->reason;
	if (r->file) {
		h->file = *r->file;
		h->file.selection = h->selection;
		h->file.name = h->name;
		h->r.file = &h->file;
	}
	return h;
}

void held_add(struct backend *b, const struct backend_request *r, uint64_t *ticket)
{
	struct held_request *h = held_new(b, r);
	if (!h) {
		r->done(r->ctx, -ENOMEM);
		return;
	}
	*ticket = h->tail = __atomic_add_fetch(&b->last_ticket, 1, __ATOMIC_RELAXED);
	log_debug(b->config.log, "a request for %s%s waits until it is known which table is there",
		  dir_of(b, r->parts->model), r->n_parts > 1 ? " and others" : "");
	{
		LOCKED(&b->lock);
		*ticket_slot(b, h->tail) = (struct ticket){.number = h->tail};
		if (b->threads && !b->stopping) {
			uint64_t check = check_ask(b);
			for (size_t i = 0; i < h->r.n_parts; i++)
				h->checks[i] = check;
			for (size_t i = 0; i < h->r.n_parts; i++)
				b->runtime[h->parts[i].model].held++;
			h->hold->counted = true;
			STAILQ_INSERT_TAIL(&b->held, h, link);
			return;
		}
	}
	group_leave(h->group, -ECANCELED);
	free_held(h);
}

/*
 * With the lock. Whether some part goes on now; *left: some has to wait still. What a look has seen may have
 * gone while it looked: its end is followed by a check.
 */
static bool advance(struct backend *b, struct held_request *h, bool *left)
{
	bool any = false;
	uint64_t next = 0;
	*left = false;
	for (size_t i = 0; i < h->r.n_parts; i++) {
		const struct backend_part *p = &h->parts[i];
		if (h->stages[i] != PART_WAITS)
			continue;
		bool due = look_is_due(b, p->model);
		if (due)
			h->checks[i] = 0;
		else if (!h->checks[i])
			h->checks[i] = next = next ? next : check_ask(b);
		if (due || !check_over(b, h->checks[i])) {
			*left = true;
			continue;
		}
		h->stages[i] = model_runs(b, p->model) ? PART_READY : PART_REFUSED;
		any |= h->stages[i] == PART_READY;
	}
	return any;
}

/* With the lock. */
static void mark_sent(struct held_request *h)
{
	h->sent = true;
	for (size_t i = 0; i < h->r.n_parts; i++)
		if (h->stages[i] == PART_READY)
			h->stages[i] = PART_SENT;
}

static void link_tickets(struct backend *b, struct held_request *h, uint64_t first)
{
	LOCKED(&b->lock);
	struct ticket *tail = ticket_slot(b, h->tail);
	if (first && tail->number == h->tail)
		tail->next = first;
	h->tail = first ? first : h->tail;
}

static int refuse_whole(struct backend *b, const struct held_request *h)
{
	struct error why = {0};
	{
		LOCKED(&b->lock);
		const char *why_not = model_why_not(b, h->parts->model);
		error_set(&why, EOPNOTSUPP, "%s", why_not ? why_not : "its table cannot be looked at");
	}
	return refuse_part(b, h->r.file, h->parts, h->r.uid, &why);
}

/* Whether it is over. */
static bool go_on(struct backend *b, struct held_request *h)
{
	struct stretches all = {0};
	struct error why = {0};
	uint64_t first = 0;
	bool ready, left;
	int r = 0;
	{
		LOCKED(&b->lock);
		ready = advance(b, h, &left);
		if (ready)
			r = expand(b, &h->r, h->stages, &all, &why);
		if (ready)
			mark_sent(h);
	}
	if (why.err)
		refuse_part(b, h->r.file, h->parts, h->r.uid, &why);
	if (ready && r == 0)
		r = all.broken ? -ENOMEM : request_send(b, h->group, &h->r, &all, &first);
	link_tickets(b, h, first);
	free(all.list);
	if (left && r == 0)
		return false;
	group_leave(h->group, r < 0 ? r : h->sent ? 0 : refuse_whole(b, h));
	return true;
}

void held_go_on(struct backend *b)
{
	struct held_requests left = STAILQ_HEAD_INITIALIZER(left);
	struct held_request *h;
	{
		LOCKED(&b->lock);
		STAILQ_CONCAT(&left, &b->held);
	}
	struct held_requests kept = STAILQ_HEAD_INITIALIZER(kept);
	while ((h = STAILQ_FIRST(&left))) {
		STAILQ_REMOVE_HEAD(&left, link);
		if (go_on(b, h))
			free_held(h);
		else
			STAILQ_INSERT_TAIL(&kept, h, link);
	}
	LOCKED(&b->lock);
	STAILQ_CONCAT(&kept, &b->held);
	STAILQ_CONCAT(&b->held, &kept);
}

void held_fail(struct backend *b, int err)
{
	struct held_requests all = STAILQ_HEAD_INITIALIZER(all);
	struct held_request *h;
	{
		LOCKED(&b->lock);
		STAILQ_CONCAT(&all, &b->held);
	}
	while ((h = STAILQ_FIRST(&all))) {
		STAILQ_REMOVE_HEAD(&all, link);
		group_leave(h->group, err);
		free_held(h);
	}
}

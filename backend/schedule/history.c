/* SPDX-License-Identifier: Apache-2.0 */
/* Open histories, as their readers see them; history_job.c fills them. */
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/engine.h"
#include "backend/schedule/history.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"

/* Of a model on this mount; the first one counts, too: a mount may live for one batch only. */
#define PRUNE_EVERY 1000

struct backend_history *history_find(const struct backend *b, slot model)
{
	struct backend_history *h;
	LIST_FOREACH(h, &b->histories, link)
	{
		if (h->model == model)
			return h;
	}
	return NULL;
}

struct backend_history *backend_history_open(struct backend *b, slot model)
{
	LOCKED(&b->lock);
	struct backend_history *h = history_find(b, model);
	if (!h) {
		h = calloc(1, sizeof *h);
		if (!h)
			return NULL;
		*h = (struct backend_history){.b = b, .model = model, .text = STRBUF_INIT};
		LIST_INSERT_HEAD(&b->histories, h, link);
	}
	h->readers++;
	return h;
}

uint64_t history_changes(const struct backend *b, slot model)
{
	return model < 0 ? b->changes : b->runtime[model].generation;
}

void backend_history_close(struct backend_history *h)
{
	if (!h)
		return;
	{
		struct backend *b = h->b;
		LOCKED(&b->lock);
		if (--h->readers > 0)
			return;
		LIST_REMOVE(h, link);
		if (h->cursor)
			*(h->model < 0 ? &b->history_size : &b->runtime[h->model].history_size) =
				(struct history_size){h->text.len, h->changes, true};
	}
	strbuf_fini(&h->text);
	free(h->cursor);
	free(h);
}

void backend_history_load(struct backend *b, slot model, void (*done)(void *ctx, int result), void *ctx)
{
	struct history_ask *a = calloc(1, sizeof *a);
	struct backend_history *history = a ? backend_history_open(b, model) : NULL;
	bool over = false;
	if (history) {
		*a = (struct history_ask){.model = model, .history = history, .done = done, .ctx = ctx};
		LOCKED(&b->lock);
		over = b->histories_end || !b->threads;
		if (!over) {
			STAILQ_INSERT_TAIL(&b->history_asks, a, link);
			lane_wake(&b->lanes[LANE_HISTORY]);
		}
	}
	if (history && !over)
		return;
	backend_history_close(history);
	free(a);
	done(ctx, over ? -ECANCELED : -ENOMEM);
}

bool backend_history_size(const struct backend *b, slot model, size_t *bytes)
{
	LOCKED(lock_of(b));
	const struct backend_history *h = history_find(b, model);
	const struct history_size *last = model < 0 ? &b->history_size : &b->runtime[model].history_size;
	bool open = h && h->cursor, away = b->warehouse.err || b->histories_end || !b->threads;
	*bytes = open ? h->text.len : last->bytes;
	return open || away || (last->known && last->changes == history_changes(b, model));
}

void backend_history_read(const struct backend_history *h, size_t off, size_t size, struct strbuf *out)
{
	LOCKED(&h->b->lock);
	size_t start = off < h->text.len ? off : h->text.len, left = h->text.len - start;
	strbuf_add(out, h->text.str + start, size < left ? size : left);
}

/* With the lock. What one may hold, so that all that are open hold HISTORIES_BYTES at most. */
static size_t share(const struct backend *b)
{
	const struct backend_history *h;
	size_t open = 0;
	LIST_FOREACH(h, &b->histories, link)
	{
		open++;
	}
	size_t each = HISTORIES_BYTES / (open ? open : 1);
	each = each > HISTORY_LEAST ? each : HISTORY_LEAST;
	return each < HISTORY_BYTES ? each : HISTORY_BYTES;
}

/* Whole lines, down to half of what may be kept: so it happens seldom, and a reader that follows can see it.
 */
static void drop_old(struct strbuf *text, size_t most)
{
	if (text->len <= most)
		return;
	const char *from = memchr(text->str + text->len - most / 2, '\n', most / 2);
	if (!from)
		return;
	size_t left = text->len - (size_t)(from + 1 - text->str);
	memmove(text->str, from + 1, left + 1);
	text->len = left;
}

int history_append(struct backend_history *h, const struct strbuf *lines)
{
	strbuf_add(&h->text, lines->str, lines->len);
	if (strbuf_broken(lines) || strbuf_broken(&h->text)) {
		/* From the beginning next time. */
		strbuf_fini(&h->text);
		free(h->cursor);
		h->cursor = NULL;
		return -ENOMEM;
	}
	drop_old(&h->text, share(h->b));
	return 0;
}

void attempt_ended(struct backend *b, const struct store_outcome *o)
{
	struct model_runtime *m = &b->runtime[o->model];
	attempt_count(&m->attempts, o);
	if (m->ended++ % PRUNE_EVERY || b->config.read_only)
		return;
	m->prune = b->pruning = true;
	lane_wake(&b->lanes[LANE_HISTORY]);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handle.h"

#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "fs/progress.h"

/* A longer document's memory is given back when its file is closed. */
#define KEEP_BYTES 4096

struct handle_slot {
	uint32_t generation;
	uint32_t index;
	bool used;
	uint64_t ino;
	struct handle_slot *next_free;
	struct handle_document document;
	struct handle_writes writes;
	struct progress *progress;
	struct backend_history *history;
};

void handles_init(struct handles *t)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
}

void handles_fini(struct handles *t)
{
	for (size_t i = 0; i < t->n; i++) {
		strbuf_fini(&t->slots[i]->document.text);
		progress_free(t->slots[i]->progress);
		backend_history_close(t->slots[i]->history);
		free(t->slots[i]);
	}
	free(t->slots);
	pthread_mutex_destroy(&t->lock);
}

/* Only valid under the lock. The number is never 0: the slot is counted from 1. */
static struct handle_slot *find(struct handles *t, uint64_t fh)
{
	uint32_t number = (uint32_t)fh;

	if (!number || number > t->n)
		return NULL;
	struct handle_slot *s = t->slots[number - 1];
	return s->used && s->generation == fh >> 32 ? s : NULL;
}

/* Only valid under the lock. */
static struct handle_slot *add(struct handles *t)
{
	/* Grown by doubling: the table is full where n is a power of two. */
	if ((t->n & (t->n - 1)) == 0) {
		struct handle_slot **slots =
			realloc(t->slots, (t->n ? 2 * t->n : 1) * sizeof(struct handle_slot *));
		if (!slots)
			return NULL;
		t->slots = slots;
	}
	struct handle_slot *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->index = (uint32_t)t->n;
	s->document.text = (struct strbuf)STRBUF_INIT;
	t->slots[t->n++] = s;
	return s;
}

uint64_t handle_new(struct handles *t, uint64_t ino)
{
	LOCKED(&t->lock);
	struct handle_slot *s = t->free;
	if (s)
		t->free = s->next_free;
	else
		s = add(t);
	if (!s)
		return 0;
	s->used = true;
	s->ino = ino;
	s->document.rendered = false;
	s->writes = (struct handle_writes){.triggered = false};
	return (uint64_t)s->generation << 32 | (s->index + 1);
}

/* Only valid under the lock. What is left to be closed without it. */
static struct backend_history *drop(struct handles *t, struct handle_slot *s)
{
	struct backend_history *history = s->history;

	if (s->document.text.size > KEEP_BYTES)
		strbuf_fini(&s->document.text);
	else
		strbuf_clear(&s->document.text);
	progress_free(s->progress);
	s->progress = NULL;
	s->history = NULL;
	s->used = false;
	s->generation++;
	s->next_free = t->free;
	t->free = s;
	return history;
}

void handle_drop(struct handles *t, uint64_t fh)
{
	struct backend_history *history = NULL;

	{
		LOCKED(&t->lock);
		struct handle_slot *s = find(t, fh);
		if (s)
			history = drop(t, s);
	}
	backend_history_close(history);
}

void handle_set_progress(struct handles *t, uint64_t fh, struct progress *p)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	if (s)
		s->progress = p;
	else
		progress_free(p);
}

struct progress *handle_progress(struct handles *t, uint64_t fh)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	return s ? s->progress : NULL;
}

void handle_set_history(struct handles *t, uint64_t fh, struct backend_history *h)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	if (s)
		s->history = h;
}

struct backend_history *handle_history(struct handles *t, uint64_t fh)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	return s ? s->history : NULL;
}

bool handle_is_open(struct handles *t, uint64_t ino)
{
	LOCKED(&t->lock);
	for (size_t i = 0; i < t->n; i++)
		if (t->slots[i]->used && t->slots[i]->ino == ino)
			return true;
	return false;
}

struct handle_document *handle_document(struct handles *t, uint64_t fh)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	return s ? &s->document : NULL;
}

bool handle_writes(struct handles *t, uint64_t fh, struct handle_writes *out)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	*out = s ? s->writes : (struct handle_writes){.triggered = false};
	return s != NULL;
}

void handle_set_writes(struct handles *t, uint64_t fh, const struct handle_writes *w)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	if (s)
		s->writes = *w;
}

void handle_set_ticket(struct handles *t, uint64_t fh, uint64_t ticket)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	if (s)
		s->writes.ticket = ticket;
}

void handle_undo(struct handles *t, uint64_t fh, bool only_reason)
{
	LOCKED(&t->lock);
	struct handle_slot *s = find(t, fh);
	if (!s)
		return;
	s->writes.reasoned = false;
	if (!only_reason)
		s->writes.triggered = false;
}

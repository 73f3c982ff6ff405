/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handle.h"

#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/hash.h"
#include "fs/handle_slot.h"
#include "fs/progress.h"
#include "fs/texts.h"

/* What is left of a handle, to be closed without the lock. */
struct held {
	struct text *text;
	struct backend_pages *pages;
	struct progress *progress;
	struct backend_history *history;
};

static void close_held(struct handles *t, const struct held *h)
{
	text_free(&t->texts, h->text);
	backend_pages_close(h->pages);
	progress_free(h->progress);
	backend_history_close(h->history);
}

void handles_init(struct handles *t)
{
	memset(t, 0, sizeof(*t));
	pthread_mutex_init(&t->lock, NULL);
	texts_init(&t->texts);
}

static struct held take_held(struct handle_slot *s)
{
	struct held h = {s->text, s->pages, s->progress, s->history};

	s->text = NULL;
	s->pages = NULL;
	s->progress = NULL;
	s->history = NULL;
	return h;
}

/* Only valid under the lock. */
static void leave_file(struct handles *t, struct handle_slot *s)
{
	struct open_file *f = s->file;

	s->file = NULL;
	if (!f)
		return;
	if (s->sized)
		TAILQ_REMOVE(&f->sized, s, sized_link);
	if (--f->handles > 0)
		return;
	HASH_DELETE(hh, t->files, f);
	free(f);
}

void handles_fini(struct handles *t)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct held h = take_held(t->slots[i]);
		close_held(t, &h);
		leave_file(t, t->slots[i]);
		free(t->slots[i]);
	}
	free(t->slots);
	texts_fini(&t->texts);
	pthread_mutex_destroy(&t->lock);
}

/* Only valid under the lock. */
static struct handle_slot *add(struct handles *t)
{
	/* Grown by doubling: the table is full where n is a power of two. */
	if ((t->n & (t->n - 1)) == 0) {
		struct handle_slot **slots = realloc(t->slots, (t->n ? 2 * t->n : 1) * sizeof(*slots));
		if (!slots)
			return NULL;
		t->slots = slots;
	}
	struct handle_slot *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->index = (uint32_t)t->n;
	t->slots[t->n++] = s;
	return s;
}

/* Only valid under the lock. NULL: no memory. */
static struct open_file *join_file(struct handles *t, uint64_t ino)
{
	struct open_file *f = handle_file(t, ino);

	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return NULL;
		f->ino = ino;
		TAILQ_INIT(&f->sized);
		HASH_ADD(hh, t->files, ino, sizeof(ino), f);
		if (!hash_has(f->hh)) {
			free(f);
			return NULL;
		}
	}
	f->handles++;
	return f;
}

uint64_t handle_new(struct handles *t, uint64_t ino, pid_t pid)
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
	s->sized = s->read = false;
	s->paged_at = 0;
	s->pid = pid;
	s->file = join_file(t, ino);
	s->writes = (struct handle_writes){.triggered = false};
	return handle_number(s);
}

void handle_drop(struct handles *t, uint64_t fh)
{
	struct held h = {.text = NULL};

	{
		LOCKED(&t->lock);
		struct handle_slot *s = handle_find(t, fh);
		if (s) {
			h = take_held(s);
			leave_file(t, s);
			s->used = false;
			s->generation++;
			s->next_free = t->free;
			t->free = s;
		}
	}
	close_held(t, &h);
}

/* Only valid under the lock. */
static void set_size(struct handle_slot *s, size_t size)
{
	if (s->file && !s->sized)
		TAILQ_INSERT_HEAD(&s->file->sized, s, sized_link);
	s->sized = s->file != NULL;
	s->size = size;
}

void handle_set_text(struct handles *t, uint64_t fh, struct text *text)
{
	{
		LOCKED(&t->lock);
		struct handle_slot *s = handle_find(t, fh);
		if (s) {
			struct text *before = s->text;
			s->text = text;
			s->made = ++t->made;
			text = before;
			set_size(s, text_size(s->text));
		}
	}
	text_free(&t->texts, text);
}

bool handle_has_text(struct handles *t, uint64_t fh)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	return s && s->text;
}

int handle_read_text(struct handles *t, uint64_t fh, size_t off, size_t size, struct strbuf *out)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	if (!s || !s->text)
		return -ENODATA;
	return text_read(&t->texts, s->text, off, size, out) ? 0 : -ESTALE;
}

void handle_set_pages(struct handles *t, uint64_t fh, struct backend_pages *pages)
{
	{
		LOCKED(&t->lock);
		struct handle_slot *s = handle_find(t, fh);
		if (s) {
			struct backend_pages *before = s->pages;
			s->pages = pages;
			pages = before;
			set_size(s, backend_pages_size(s->pages));
		}
	}
	backend_pages_close(pages);
}

struct backend_pages *handle_pages(struct handles *t, uint64_t fh)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	return s && s->pages ? backend_pages_hold(s->pages) : NULL;
}

void handle_set_progress(struct handles *t, uint64_t fh, struct progress *p)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	if (s)
		s->progress = p;
	else
		progress_free(p);
}

struct progress *handle_progress(struct handles *t, uint64_t fh)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	return s ? s->progress : NULL;
}

void handle_set_history(struct handles *t, uint64_t fh, struct backend_history *h)
{
	{
		LOCKED(&t->lock);
		struct handle_slot *s = handle_find(t, fh);
		if (s) {
			s->history = h;
			set_size(s, 0); /* it grows: backend_history_size() */
			return;
		}
	}
	backend_history_close(h);
}

struct backend_history *handle_history(struct handles *t, uint64_t fh)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	return s ? s->history : NULL;
}

bool handle_is_open(struct handles *t, uint64_t ino, pid_t pid)
{
	LOCKED(&t->lock);
	const struct open_file *f = handle_file(t, ino);
	bool found = f && !pid;
	for (size_t k = 0; f && k < t->n && !found; k++)
		found = t->slots[k]->used && t->slots[k]->file == f && t->slots[k]->pid == pid;
	return found;
}

bool handle_writes(struct handles *t, uint64_t fh, struct handle_writes *out)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	*out = s ? s->writes : (struct handle_writes){.triggered = false};
	return s != NULL;
}

void handle_set_writes(struct handles *t, uint64_t fh, const struct handle_writes *w)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	if (s)
		s->writes = *w;
}

void handle_set_ticket(struct handles *t, uint64_t fh, uint64_t ticket)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	if (s)
		s->writes.ticket = ticket;
}

void handle_undo(struct handles *t, uint64_t fh, bool only_reason)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	if (!s)
		return;
	s->writes.reasoned = false;
	if (!only_reason)
		s->writes.triggered = false;
}

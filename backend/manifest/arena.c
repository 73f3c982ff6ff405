/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/manifest/arena.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (64 * 1024)
#define ALIGNMENT   _Alignof(max_align_t)

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	_Alignas(max_align_t) char bytes[];
};

void arena_seal(struct arena *a)
{
	free(a->interned);
	a->interned = NULL;
	a->n_interned = a->size_interned = 0;
}

void arena_fini(struct arena *a)
{
	arena_seal(a);
	while (a->chunks) {
		struct arena_chunk *next = a->chunks->next;
		free(a->chunks);
		a->chunks = next;
	}
	*a = (struct arena){0};
}

/*
 * A chunk that has room for `need` bytes. A chunk made for one big text goes behind the chunk in use, which
 * still has room for small ones.
 */
static struct arena_chunk *room(struct arena *a, size_t need)
{
	struct arena_chunk *c = a->chunks;
	if (c && c->size - c->used >= need)
		return c;
	bool big = need > CHUNK_BYTES / 4;
	size_t size = big ? need : CHUNK_BYTES;
	struct arena_chunk *fresh = malloc(sizeof(*fresh) + size);
	if (!fresh)
		return NULL;
	fresh->used = 0;
	fresh->size = size;
	if (big && c) {
		fresh->next = c->next;
		c->next = fresh;
	} else {
		fresh->next = c;
		a->chunks = fresh;
	}
	return fresh;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
	size_t bytes;
	struct arena_chunk *c = NULL;
	if (!a->broken && !__builtin_mul_overflow(count, size, &bytes) && bytes < SIZE_MAX / 2) {
		bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
		c = room(a, bytes);
	}
	if (!c) {
		a->broken = true;
		return NULL;
	}
	void *p = c->bytes + c->used;
	c->used += bytes;
	return memset(p, 0, bytes);
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
	char *copy = arena_alloc(a, len + 1, 1);
	if (copy)
		memcpy(copy, text, len);
	return copy;
}

char *arena_strdup(struct arena *a, const char *text)
{
	return text ? arena_strndup(a, text, strlen(text)) : NULL;
}

/* The place in the hash table that holds the text, or the free place where the text belongs. */
static const char **slot(const struct arena *a, const char *text, size_t len)
{
	size_t hash = len;
	for (size_t i = 0; i < len; i++)
		hash = hash * 31 + (unsigned char)text[i];
	hash ^= hash >> 17;
	for (size_t i = hash & (a->size_interned - 1);; i = (i + 1) & (a->size_interned - 1)) {
		const char *there = a->interned[i];
		if (!there || (strncmp(there, text, len) == 0 && !there[len]))
			return &a->interned[i];
	}
}

/* Keeps the hash table at most half full, so that a search soon meets a free place. */
static bool grow(struct arena *a)
{
	struct arena old = *a;
	if (a->n_interned < a->size_interned / 2)
		return true;
	a->size_interned = old.size_interned ? old.size_interned * 2 : 1024;
	a->interned = calloc(a->size_interned, sizeof(*a->interned));
	if (!a->interned) {
		*a = old;
		a->broken = true;
		return false;
	}
	for (size_t i = 0; i < old.size_interned; i++) {
		if (old.interned[i])
			*slot(a, old.interned[i], strlen(old.interned[i])) = old.interned[i];
	}
	free(old.interned);
	return true;
}

const char *arena_internn(struct arena *a, const char *text, size_t len)
{
	if (a->broken || !grow(a))
		return NULL;
	const char **at = slot(a, text, len);
	if (!*at) {
		*at = arena_strndup(a, text, len);
		a->n_interned += *at != NULL;
	}
	return *at;
}

const char *arena_intern(struct arena *a, const char *text)
{
	return text ? arena_internn(a, text, strlen(text)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list args)
{
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	char *text = arena_alloc(a, len < 0 ? 1 : (size_t)len + 1, 1);
	if (text && len > 0)
		vsnprintf(text, (size_t)len + 1, fmt, args);
	return text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	char *text = arena_vprintf(a, fmt, args);
	va_end(args);
	return text;
}

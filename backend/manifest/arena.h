/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that lives and dies with one catalog. An allocation that fails makes
 * the arena broken for good; strings then come back as NULL, which the loader
 * checks at its steps instead of at every call.
 */
#ifndef BATCHFS_MANIFEST_ARENA_H
#define BATCHFS_MANIFEST_ARENA_H

#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks;
	bool broken;
	const char **interned; /* a hash table that lives while the catalog is loaded; NULL: nothing is
				  interned yet, or the arena is sealed */
	size_t n_interned, size_interned;
};

void arena_fini(struct arena *a);

/* The memory is zeroed and aligned for any type. NULL: no memory. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/* Copies the text into the arena. NULL gives NULL. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t len);

/* The arena's one copy of all equal texts, for what thousands of nodes say alike. NULL gives NULL. */
const char *arena_intern(struct arena *a, const char *text);
const char *arena_internn(struct arena *a, const char *text, size_t len);

/* Frees the hash table, which only loading needs. The texts stay. */
void arena_seal(struct arena *a);

char *arena_vprintf(struct arena *a, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

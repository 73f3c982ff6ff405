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
};

void arena_fini(struct arena *a);

/* Zeroed, aligned for any type. NULL: no memory. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/* NULL for NULL. */
char *arena_strdup(struct arena *a, const char *text);
char *arena_strndup(struct arena *a, const char *text, size_t len);
char *arena_vprintf(struct arena *a, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

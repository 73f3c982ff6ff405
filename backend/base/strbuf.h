/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing string. `str` is never NULL and always NUL-terminated. An append
 * that finds no memory breaks the buffer: it becomes empty and stays so, later
 * appends do nothing, and the one check at the end is strbuf_broken().
 */
#ifndef BATCHFS_BASE_STRBUF_H
#define BATCHFS_BASE_STRBUF_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf {
	char *str;
	size_t len;
	size_t size; /* bytes allocated; 0: str is not ours to free or write */
	bool broken;
};

extern char strbuf_empty[1];
#define STRBUF_INIT                                                                                          \
	{                                                                                                    \
		.str = strbuf_empty                                                                          \
	}

void strbuf_fini(struct strbuf *b);  /* may be used again afterwards */
void strbuf_clear(struct strbuf *b); /* keeps the memory */
void strbuf_add(struct strbuf *b, const char *text, size_t len);
void strbuf_puts(struct strbuf *b, const char *text);
void strbuf_putc(struct strbuf *b, char c);
void strbuf_fill(struct strbuf *b, char c, size_t n);
/* Of a piece that begins at `at` of a longer text: what lies in [off, end) of that. */
void strbuf_add_slice(struct strbuf *b, const char *text, size_t len, size_t at, size_t off, size_t end);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline bool strbuf_broken(const struct strbuf *b)
{
	return b->broken;
}

/* The string, to be freed by the caller, or NULL if the buffer is broken; b is empty then. */
char *strbuf_detach(struct strbuf *b);

#define auto_strbuf __attribute__((cleanup(strbuf_fini))) struct strbuf

#endif

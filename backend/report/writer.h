/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a JSON text, or only measures it: a listing needs the size of every batch's document, and one that
 * is measured in another way than it is written would be cut short some day. As jansson's JSON_INDENT(2)
 * writes: a key a line. Nothing is allocated but by `out`.
 */
#ifndef BATCHFS_REPORT_WRITER_H
#define BATCHFS_REPORT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/strbuf.h"

struct writer {
	struct strbuf *out; /* NULL: the text is only measured */
	size_t len;	    /* how long the text is so far */
	unsigned depth;
	bool empty; /* the object or array that was opened last is still empty */
};

/*
 * Each writes a value. key is NULL for an element of an array and for the whole text. Keys are plain ASCII.
 */
void write_open(struct writer *w, const char *key, char bracket); /* '{' or '[' */
void write_close(struct writer *w, char bracket);		  /* '}' or ']' */
void write_null(struct writer *w, const char *key);
void write_bool(struct writer *w, const char *key, bool value);
void write_int(struct writer *w, const char *key, int64_t n);
void write_count(struct writer *w, const char *key,
		 int64_t n); /* null for a negative number, which is not known */
void write_text(struct writer *w, const char *key, const char *text); /* null for NULL and "" */
void write_instant(struct writer *w, const char *key, int64_t us);
void write_time(struct writer *w, const char *key, int64_t us); /* null for 0, which is not known */
void write_seconds(struct writer *w, const char *key,
		   int64_t us); /* with milliseconds; null for a negative time, which is not known */

/* Writes the newline behind the whole text. */
void write_end(struct writer *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a JSON text, or only measures it: a listing needs the size of every batch's document, and one that is
 * measured in another way than it is written would be cut short some day. As jansson's JSON_INDENT(2) writes:
 * a key a line. Nothing is allocated but by `out`.
 */
#ifndef BATCHFS_REPORT_WRITER_H
#define BATCHFS_REPORT_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/base/strbuf.h"

struct writer {
	struct strbuf *out; /* NULL: only measured */
	size_t len;	    /* so far */
	unsigned depth;
	bool empty; /* nothing is in what was opened last */
};

/* Each writes a value; key NULL: in an array, or the whole. Keys are plain ASCII. */
void write_open(struct writer *w, const char *key, char bracket); /* '{' or '[' */
void write_close(struct writer *w, char bracket);		  /* '}' or ']' */
void write_null(struct writer *w, const char *key);
void write_bool(struct writer *w, const char *key, bool value);
void write_int(struct writer *w, const char *key, int64_t n);
void write_count(struct writer *w, const char *key, int64_t n);	   /* negative: null */
void write_text(struct writer *w, const char *key, const char *text); /* NULL or "": null */
void write_instant(struct writer *w, const char *key, int64_t us);
void write_time(struct writer *w, const char *key, int64_t us);	   /* 0: null */
void write_seconds(struct writer *w, const char *key, int64_t us); /* milliseconds are kept; negative: null */

/* The newline behind the whole. */
void write_end(struct writer *w);

#endif

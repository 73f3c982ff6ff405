/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of open documents, fixed when the file was opened. Each user has room for TEXTS_A_USER bytes: who
 * opens more loses the texts that he has not read for longest, and nobody else does. Thread-safe; a text is
 * its owner's until text_free().
 */
#ifndef BATCHFS_FS_TEXTS_H
#define BATCHFS_FS_TEXTS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "backend/base/strbuf.h"

#define TEXTS_A_USER (16u << 20)

struct text;
struct text_user;

struct texts {
	pthread_mutex_t lock; /* for everything below and the texts; innermost */
	struct text_user *users;
};

void texts_init(struct texts *t);
void texts_fini(struct texts *t); /* after the last text_free() */

/* Takes what is in `from` over. NULL: no memory. */
struct text *text_new(struct texts *t, uid_t uid, struct strbuf *from);
void text_free(struct texts *t, struct text *text); /* NULL is fine */

size_t text_size(const struct text *text); /* also of one that was taken away */

/* Whether they say the same; not where one was taken away. */
bool text_equal(struct texts *t, const struct text *one, const struct text *other);

/* Appends at most `size` bytes from offset `off` on. False: the text was taken away. */
bool text_read(struct texts *t, struct text *text, size_t off, size_t size, struct strbuf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/texts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "backend/base/cleanup.h"
#include "backend/base/hash.h"

struct text {
	TAILQ_ENTRY(text) link;
	struct text_user *user;
	size_t size; /* immutable */
	char *bytes; /* NULL: taken away, and in no list */
};

struct text_user {
	uid_t uid;
	size_t bytes;
	unsigned texts;
	TAILQ_HEAD(text_list, text) list; /* the one not read for longest first */
	UT_hash_handle hh;
};

void texts_init(struct texts *t)
{
	t->users = NULL;
	pthread_mutex_init(&t->lock, NULL);
}

void texts_fini(struct texts *t)
{
	pthread_mutex_destroy(&t->lock);
}

/* Under the lock. NULL: no memory. */
static struct text_user *user_of(struct texts *t, uid_t uid)
{
	struct text_user *u;

	HASH_FIND(hh, t->users, &uid, sizeof(uid), u);
	if (u)
		return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->uid = uid;
	TAILQ_INIT(&u->list);
	HASH_ADD(hh, t->users, uid, sizeof(uid), u);
	if (hash_has(u->hh))
		return u;
	free(u);
	return NULL;
}

/* Under the lock. */
static void take_away(struct text *text)
{
	if (!text->bytes)
		return;
	TAILQ_REMOVE(&text->user->list, text, link);
	text->user->bytes -= text->size;
	free(text->bytes);
	text->bytes = NULL;
}

struct text *text_new(struct texts *t, uid_t uid, struct strbuf *from)
{
	struct text *text = calloc(1, sizeof(*text));
	size_t size = from->len;

	if (!text)
		return NULL;
	text->size = size;
	text->bytes = strbuf_detach(from);
	LOCKED(&t->lock);
	text->user = text->bytes ? user_of(t, uid) : NULL;
	if (!text->user) {
		free(text->bytes);
		free(text);
		return NULL;
	}
	text->user->texts++;
	text->user->bytes += size;
	TAILQ_INSERT_TAIL(&text->user->list, text, link);
	while (text->user->bytes > TEXTS_A_USER && TAILQ_FIRST(&text->user->list) != text)
		take_away(TAILQ_FIRST(&text->user->list));
	return text;
}

void text_free(struct texts *t, struct text *text)
{
	if (!text)
		return;
	LOCKED(&t->lock);
	struct text_user *u = text->user;
	take_away(text);
	free(text);
	if (--u->texts > 0)
		return;
	HASH_DELETE(hh, t->users, u);
	free(u);
}

size_t text_size(const struct text *text)
{
	return text->size;
}

bool text_equal(struct texts *t, const struct text *one, const struct text *other)
{
	LOCKED(&t->lock);
	return one->size == other->size && one->bytes && other->bytes &&
	       memcmp(one->bytes, other->bytes, one->size) == 0;
}

bool text_read(struct texts *t, struct text *text, size_t off, size_t size, struct strbuf *out)
{
	LOCKED(&t->lock);
	if (!text->bytes)
		return false;
	TAILQ_REMOVE(&text->user->list, text, link);
	TAILQ_INSERT_TAIL(&text->user->list, text, link);
	size_t start = off < text->size ? off : text->size, left = text->size - start;
	strbuf_add(out, text->bytes + start, size < left ? size : left);
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/own_inode.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/hash.h"

struct own_inode_key {
	uint64_t file;
	int64_t thread;
};

struct own_inode_sent {
	struct own_inode_key key;
	unsigned count; /* threads; more than one only of those without a number */
	int64_t at;
	TAILQ_ENTRY(own_inode_sent) age;
	UT_hash_handle hh;
};

struct own_inode_lock {
	uint64_t file;
	unsigned count;
	UT_hash_handle hh;
};

void own_inodes_init(struct own_inodes *t)
{
	memset(t, 0, sizeof(*t));
	TAILQ_INIT(&t->by_age);
	pthread_mutex_init(&t->lock, NULL);
}

/* Only valid under the lock, as all that follow. */
static void drop(struct own_inodes *t, struct own_inode_sent *s)
{
	HASH_DEL(t->sent, s);
	TAILQ_REMOVE(&t->by_age, s, age);
	free(s);
}

void own_inodes_fini(struct own_inodes *t)
{
	struct own_inode_lock *l, *next;

	while (!TAILQ_EMPTY(&t->by_age))
		drop(t, TAILQ_FIRST(&t->by_age));
	HASH_ITER(hh, t->locks, l, next)
	{
		HASH_DEL(t->locks, l);
		free(l);
	}
	pthread_mutex_destroy(&t->lock);
}

static struct own_inode_sent *find(struct own_inodes *t, uint64_t file, pid_t thread)
{
	const struct own_inode_key key = {file, thread};
	struct own_inode_sent *s;

	HASH_FIND(hh, t->sent, &key, sizeof(key), s);
	return s;
}

static struct own_inode_lock *find_lock(struct own_inodes *t, uint64_t file)
{
	struct own_inode_lock *l;

	HASH_FIND(hh, t->locks, &file, sizeof(file), l);
	return l;
}

bool own_inode_send_back(struct own_inodes *t, uint64_t file, pid_t thread, int64_t now_us)
{
	LOCKED(&t->lock);
	struct own_inode_sent *s = find(t, file, thread);
	if (s && !thread) {
		s->count++;
		s->at = now_us;
		TAILQ_REMOVE(&t->by_age, s, age);
		TAILQ_INSERT_TAIL(&t->by_age, s, age);
		return true;
	}
	if (s) {
		bool again = now_us - s->at < OWN_INODE_SENT_US;
		drop(t, s);
		if (again)
			return false;
	}
	while ((s = TAILQ_FIRST(&t->by_age)) &&
	       (HASH_COUNT(t->sent) >= OWN_INODE_SENT_MAX || now_us - s->at >= OWN_INODE_SENT_US))
		drop(t, s);
	s = calloc(1, sizeof(*s));
	if (!s)
		return false;
	s->key = (struct own_inode_key){file, thread};
	s->at = now_us;
	s->count = 1;
	HASH_ADD(hh, t->sent, key, sizeof(s->key), s);
	if (!hash_has(s->hh)) {
		free(s);
		return false;
	}
	TAILQ_INSERT_TAIL(&t->by_age, s, age);
	return true;
}

bool own_inode_is_due(struct own_inodes *t, uint64_t file, pid_t thread, int64_t now_us)
{
	LOCKED(&t->lock);
	const struct own_inode_sent *s = find(t, file, thread);
	return (s && now_us - s->at < OWN_INODE_SENT_US) || find_lock(t, file);
}

void own_inode_arrived(struct own_inodes *t, uint64_t file, pid_t thread)
{
	LOCKED(&t->lock);
	struct own_inode_sent *s = find(t, file, thread);
	if (s && --s->count == 0)
		drop(t, s);
}

bool own_inode_locked(struct own_inodes *t, uint64_t file)
{
	LOCKED(&t->lock);
	struct own_inode_lock *l = find_lock(t, file);
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return false;
		l->file = file;
		HASH_ADD(hh, t->locks, file, sizeof(l->file), l);
		if (!hash_has(l->hh)) {
			free(l);
			return false;
		}
	}
	l->count++;
	return true;
}

void own_inode_unlocked(struct own_inodes *t, uint64_t file)
{
	LOCKED(&t->lock);
	struct own_inode_lock *l = find_lock(t, file);
	if (!l || --l->count)
		return;
	HASH_DEL(t->locks, l);
	free(l);
}

bool own_inode_is_locked(struct own_inodes *t, uint64_t file)
{
	LOCKED(&t->lock);
	return find_lock(t, file) != NULL;
}

bool own_inode_some_locked(struct own_inodes *t)
{
	LOCKED(&t->lock);
	return t->locks != NULL;
}

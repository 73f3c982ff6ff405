/* SPDX-License-Identifier: Apache-2.0 */
/* What has waited for too long, and everything at the end of the mount. */
#include <fcntl.h>

#include "backend/base/cleanup.h"
#include "fs/parked.h"
#include "fs/refuse.h"
#include "fs/telling.h"
#include "fs/wait.h"
#include "fs/wait_kind.h"

/* Whether it asks for a change, which may have been recorded by now. */
static bool asks_for_change(const struct wait_for *what)
{
	const struct wait_traits *t = wait_traits(what->kind);

	return t->opens ? what->fi.flags & O_TRUNC : t->holds_inode && !t->for_batches;
}

/* The reason, for who looks where the errno sends him. */
static void refuse_overdue(const struct parked *p)
{
	const struct wait_for *what = &p->what;
	const char *sentence;

	if (wait_traits(what->kind)->for_batches)
		sentence = "It waited for as long as the kernel lets a request wait "
			   "(fs.fuse.max_request_timeout): wait again.";
	else if (asks_for_change(what))
		sentence = "The warehouse did not answer in time (-o timeout=): the request may have been "
			   "recorded all the same; asking again is harmless.";
	else
		sentence = "The text was not there in time (-o timeout=).";
	refuse_node(p->fs, what->req, &what->node, ETIMEDOUT, sentence);
}

static void answer_all(struct parked_list *taken)
{
	struct parked *p;

	while ((p = TAILQ_FIRST(taken))) {
		TAILQ_REMOVE(taken, p, taken_link);
		if (p->result == -ETIMEDOUT && !wait_traits(p->what.kind)->always)
			refuse_overdue(p);
		parked_answer(p);
	}
}

/* A directory's lock is held for microseconds: after this time it is a deadlock, and is looked for this
 * often. */
#define STUCK_US      2000000
#define STUCK_LOOK_US 3000000

/*
 * Under the lock. What is overdue goes to the list. stuck: the directory in which nothing moves
 * (telling_stuck()), or 0: who holds the inode of a name in it goes, with EINTR, so that everything else
 * can.
 */
static int64_t sort_out(struct waits *w, int64_t now_us, uint64_t stuck, struct parked_list *overdue)
{
	struct parked *p, *next;
	int64_t next_us = TAILQ_EMPTY(&w->list) ? INT64_MAX : now_us + STUCK_LOOK_US;

	for (p = TAILQ_FIRST(&w->list); p; p = next) {
		next = TAILQ_NEXT(p, link);
		bool blocks = stuck && p->dir == stuck && p->on_name;
		if (blocks && parked_take(p, -EINTR)) {
			TAILQ_INSERT_TAIL(overdue, p, taken_link);
			continue;
		}
		if (p->deadline <= now_us) {
			p->deadline = INT64_MAX;
			if (parked_take(p, p->interrupted ? -EINTR : -ETIMEDOUT)) {
				TAILQ_INSERT_TAIL(overdue, p, taken_link);
				continue;
			}
		}
		next_us = p->deadline < next_us ? p->deadline : next_us;
	}
	return next_us;
}

int64_t wait_tick(struct fs *fs, int64_t now_us)
{
	struct parked_list overdue = TAILQ_HEAD_INITIALIZER(overdue);
	int64_t next_us;
	uint64_t stuck = telling_stuck(fs, now_us, STUCK_US);

	{
		LOCKED(&fs->waits.lock);
		next_us = fs->waits.next_us = sort_out(&fs->waits, now_us, stuck, &overdue);
	}
	answer_all(&overdue);
	return next_us;
}

void wait_close(struct fs *fs, int err)
{
	struct parked_list all = TAILQ_HEAD_INITIALIZER(all);
	struct parked *p, *next;

	{
		LOCKED(&fs->waits.lock);
		fs->waits.closed = true;
		for (p = TAILQ_FIRST(&fs->waits.list); p; p = next) {
			next = TAILQ_NEXT(p, link);
			if (parked_take(p, -err))
				TAILQ_INSERT_TAIL(&all, p, taken_link);
		}
	}
	answer_all(&all);
}

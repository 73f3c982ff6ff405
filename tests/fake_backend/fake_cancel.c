/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of states, and cancelling. */
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "tests/fake_backend/fake_private.h"

/* Under the lock, which it gives up meanwhile. What runs goes on: its end is another matter. */
static void cancel_one(struct backend *b, const struct fake_job *j)
{
	struct ordinal_range one = {j->batch, j->batch + 1};
	struct fake_batch *x = fake_at(b, j->model, j->batch);

	x->state = x->built_at ? BATCH_DONE : BATCH_PENDING;
	b->unsettled--;
	b->tables[j->model].generation++;
	pthread_mutex_unlock(&b->lock);
	b->listener.cancelled(b->listener.ctx, j->model, one, true);
	b->listener.changed(b->listener.ctx, j->model, one);
	pthread_mutex_lock(&b->lock);
}

/* Under the lock, which it gives up meanwhile. */
void fake_end_cancelled(struct backend *b)
{
	struct fake_job *j;

	for (;;) {
		TAILQ_FOREACH(j, &b->queue, link)
		if (j->cancelled)
			break;
		if (!j)
			return;
		TAILQ_REMOVE(&b->queue, j, link);
		cancel_one(b, j);
		free(j);
	}
}

bool fake_meant(const struct backend_part *p, enum batch_state state)
{
	return !p->states || (p->states >> state & 1) != 0;
}

int backend_verdict(const struct backend *b, const struct backend_part *parts, size_t n_parts, bool single)
{
	const struct backend_part *p = &parts[0];
	int verdict = 0;

	LOCKED((pthread_mutex_t *)&b->lock);
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		enum batch_state s = fake_at(b, p->model, o)->state;
		if (fake_meant(p, s) && (s == BATCH_FAILED || s == BATCH_SKIPPED))
			return -EIO;
		if (fake_meant(p, s) && s == BATCH_PENDING && (single || p->states == 1u << BATCH_PENDING))
			verdict = -ENODATA;
	}
	return verdict;
}

size_t backend_count(const struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	const struct backend_part *p = &parts[0];
	size_t n = 0;

	LOCKED((pthread_mutex_t *)&b->lock);
	for (ordinal o = p->batches.first; o < p->batches.end; o++)
		n += fake_meant(p, fake_at(b, p->model, o)->state);
	return n;
}

void backend_count_states(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			  size_t counts[BATCH_STATES])
{
	const struct backend_part *p = &parts[0];

	memset(counts, 0, BATCH_STATES * sizeof counts[0]);
	LOCKED((pthread_mutex_t *)&b->lock);
	for (ordinal o = p->batches.first; o < p->batches.end; o++)
		counts[fake_at(b, p->model, o)->state]++;
}

bool backend_next_wrong(const struct backend *b, slot model, struct ordinal_range range,
			struct backend_wrong *out)
{
	LOCKED((pthread_mutex_t *)&b->lock);
	for (ordinal o = range.first; o < range.end; o++) {
		const struct fake_batch *x = fake_at(b, model, o);
		if (!batch_state_traits(x->state)->wrong)
			continue;
		*out = (struct backend_wrong){.batches = {o, o + 1}, .attempt = x->attempt};
		return true;
	}
	return false;
}

/* Under the lock. */
static struct fake_job *find_job(struct backend *b, const struct backend_part *p)
{
	struct fake_job *j;

	TAILQ_FOREACH(j, &b->queue, link)
	if (!j->cancelled && j->model == p->model && j->batch >= p->batches.first &&
	    j->batch < p->batches.end && fake_meant(p, BATCH_QUEUED))
		return j;
	return NULL;
}

/* The control thread does it: the listener must not be told by who asks. */
int backend_cancel(struct backend *b, const struct backend_part *parts, size_t n_parts, uid_t uid, pid_t pid)
{
	struct fake_job *j;
	int r = -EPERM;

	LOCKED(&b->lock);
	while ((j = find_job(b, &parts[0]))) {
		j->cancelled = true;
		r = 0;
	}
	pthread_cond_broadcast(&b->work);
	return r;
}

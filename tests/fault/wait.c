/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "tests/fault/private.h"

/* A held call looks at the file again this often. */
#define LOOK_US 10000

/* Under the lock. Rules that cannot be understood are said so in the log; the old ones are gone. */
static void read_rules(struct store *s)
{
	const char *path = getenv("BATCHFS_FAULT_FILE"), *env = getenv("BATCHFS_FAULT");
	struct error err = {0};
	char text[4096];
	auto_file FILE *f = path ? fopen(path, "re") : NULL;
	if (f)
		text[fread(text, 1, sizeof text - 1, f)] = '\0';
	if (fault_rules_parse(&s->rules, f ? text : env ? env : "", &err) < 0)
		log_error(s->log, "%s", err.text);
}

/* Under the lock; lets go of it. */
static void sleep_a_moment(struct store *s)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += LOOK_US * 1000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&s->changed, &s->lock, &until);
}

int fault_wait(struct store *s, struct worker *w, enum fault_op op, struct error *err)
{
	int64_t since = clock_monotonic_us();
	LOCKED(&s->lock);
	for (;;) {
		read_rules(s);
		const struct fault_rule *rule = &s->rules.rule[op];
		bool waits = rule->hold || clock_monotonic_us() - since < (int64_t)rule->delay_ms * 1000;
		if (!waits)
			return 0;
		if (s->abandoned || (w && w->stop))
			return error_set(err, ECANCELED, "ended while it was held");
		sleep_a_moment(s);
	}
}

int fault_fail(struct store *s, enum fault_op op, struct error *err)
{
	LOCKED(&s->lock);
	read_rules(s);
	return fault_take(&s->rules.rule[op].before, op, err);
}

int fault_before(struct store *s, struct worker *w, enum fault_op op, struct error *err)
{
	int r = fault_wait(s, w, op, err);
	return r == 0 ? fault_fail(s, op, err) : r;
}

int fault_after(struct store *s, enum fault_op op, int r, struct error *err)
{
	if (r < 0)
		return r;
	LOCKED(&s->lock);
	int lost = fault_take(&s->rules.rule[op].after, op, err);
	return lost < 0 ? lost : r;
}

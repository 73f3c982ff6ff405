/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "tests/fault/layer.h"

/* A held call looks at the rules, and whether it has been ended, this often. */
#define LOOK_NS 10000000

/* Under the lock. Rules that cannot be understood are said so in the log; the old ones are gone. */
static void read_rules(struct fault_layer *f, const struct log *log)
{
	const char *path = getenv("BATCHFS_FAULT_FILE"), *env = getenv("BATCHFS_FAULT");
	struct error err = {0};
	char text[4096];
	auto_file FILE *file = path ? fopen(path, "re") : NULL;
	if (file)
		text[fread(text, 1, sizeof text - 1, file)] = '\0';
	if (fault_rules_parse(&f->rules, file ? text : env ? env : "", &err) < 0)
		log_error(log, "%s", err.text);
}

static bool must_wait(struct fault_layer *f, const struct engine_call *call, int64_t since)
{
	LOCKED(&f->lock);
	read_rules(f, call->log);
	const struct fault_rule *rule = &f->rules.rule[call->op];
	return rule->hold || clock_monotonic_us() - since < (int64_t)rule->delay_ms * 1000;
}

int fault_wait(struct fault_layer *f, const struct engine_call *call, struct error *err)
{
	const struct timespec moment = {.tv_nsec = LOOK_NS};
	int64_t since = clock_monotonic_us();
	while (must_wait(f, call, since)) {
		if (engine_call_ended(call))
			return error_set(err, ECANCELED, "ended while it was held");
		nanosleep(&moment, NULL);
	}
	return 0;
}

int fault_fail(struct fault_layer *f, const struct engine_call *call, struct error *err)
{
	LOCKED(&f->lock);
	read_rules(f, call->log);
	return fault_take(&f->rules.rule[call->op].before, call->op, err);
}

static int before(const struct engine_layer *layer, const struct engine_call *call, struct error *err)
{
	struct fault_layer *f = fault_of(layer);
	int r = fault_wait(f, call, err);
	return r == 0 ? fault_fail(f, call, err) : r;
}

static int after(const struct engine_layer *layer, const struct engine_call *call, int r, struct error *err)
{
	struct fault_layer *f = fault_of(layer);
	if (r < 0)
		return r;
	LOCKED(&f->lock);
	int lost = fault_take(&f->rules.rule[call->op].after, call->op, err);
	return lost < 0 ? lost : r;
}

void fault_layer_init(struct fault_layer *f)
{
	*f = (struct fault_layer){.layer = {.before = before, .after = after, .build = fault_build}};
	pthread_mutex_init(&f->lock, NULL);
}

void fault_layer_fini(struct fault_layer *f)
{
	fault_rules_fini(&f->rules);
	pthread_mutex_destroy(&f->lock);
}

struct engine fault_wrap(struct fault_layer *f, const struct engine *inner)
{
	struct engine out = *inner;
	out.layer = &f->layer;
	return out;
}

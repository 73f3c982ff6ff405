/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the rules, taken apart. Not locked. */
#ifndef BATCHFS_TESTS_FAULT_RULES_H
#define BATCHFS_TESTS_FAULT_RULES_H

#include <stdbool.h>

#include "backend/base/error.h"

enum fault_op {
	FAULT_OPEN,
	FAULT_ENLIST,
	FAULT_LOAD,
	FAULT_FOLLOW,
	FAULT_REQUEST,
	FAULT_CLAIM,
	FAULT_SETTLE,
	FAULT_RETIRE,
	FAULT_PREPARE,
	FAULT_ADOPT,
	FAULT_BUILD,
	FAULT_HISTORY,
	FAULT_PRUNE,
	FAULT_OPS,
};

struct fault_failure {
	int err;	  /* 0: none */
	char sqlstate[6]; /* "": only an errno */
	int left;	  /* how often; -1: always */
};

struct fault_rule {
	int delay_ms;
	bool hold;
	struct fault_failure before, after;
};

struct fault_rules {
	char *text; /* of which the rules are made */
	struct fault_rule rule[FAULT_OPS];
};

/* Nothing changes if the text is the same. -EINVAL: *err names what is wrong, no rule is left. */
int fault_rules_parse(struct fault_rules *rules, const char *text, struct error *err);
void fault_rules_fini(struct fault_rules *rules);

/* Uses the failure up by one: 0, or -errno with *err filled. */
int fault_take(struct fault_failure *f, enum fault_op op, struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The text of the rules, taken apart. Not locked. */
#ifndef BATCHFS_TESTS_FAULT_RULES_H
#define BATCHFS_TESTS_FAULT_RULES_H

#include "backend/engine.h"

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
	struct fault_rule rule[ENGINE_OPS];
};

/* Nothing changes if the text is the same. -EINVAL: *err names what is wrong, no rule is left. */
int fault_rules_parse(struct fault_rules *rules, const char *text, struct error *err);
void fault_rules_fini(struct fault_rules *rules);

/* Uses the failure up by one: 0, or -errno with *err filled. */
int fault_take(struct fault_failure *f, enum engine_op op, struct error *err);

#endif

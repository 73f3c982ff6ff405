/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/rules.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"

/* ENGINE_OPS: no op has that name. */
static enum engine_op op_of(const char *name)
{
	int op = 0;
	while (op < ENGINE_OPS && strcmp(name, engine_op_name((enum engine_op)op)) != 0)
		op++;
	return (enum engine_op)op;
}

static int errno_of(const char *name)
{
	for (int e = 1; e < 134; e++) {
		const char *known = strerrorname_np(e);
		if (known && strcmp(known, name) == 0)
			return e;
	}
	return 0;
}

static bool failure_parse(struct fault_failure *f, char *text)
{
	char *times = strchr(text, '*');
	f->left = -1;
	if (times) {
		*times++ = '\0';
		f->left = atoi(times);
		if (f->left < 1)
			return false;
	}
	f->err = errno_of(text);
	if (f->err == 0 && strlen(text) == 5 && isdigit((unsigned char)text[0])) {
		f->err = EIO;
		memcpy(f->sqlstate, text, sizeof f->sqlstate);
	}
	return f->err != 0;
}

static bool action_parse(struct fault_rule *rule, char *action)
{
	if (strcmp(action, "hold") == 0) {
		rule->hold = true;
		return true;
	}
	char *value = strchr(action, '=');
	if (!value)
		return false;
	*value++ = '\0';
	if (strcmp(action, "delay") == 0)
		return (rule->delay_ms = atoi(value)) > 0;
	if (strcmp(action, "error") == 0)
		return failure_parse(&rule->before, value);
	return strcmp(action, "lose") == 0 && failure_parse(&rule->after, value);
}

static bool rule_parse(struct fault_rules *rules, char *text)
{
	char *actions = strchr(text, ':'), *rest = NULL;
	if (!actions)
		return false;
	*actions++ = '\0';
	enum engine_op op = op_of(text);
	bool good = op != ENGINE_OPS;
	for (char *a = strtok_r(actions, ",", &rest); a && good; a = strtok_r(NULL, ",", &rest))
		good = action_parse(&rules->rule[op], a);
	return good;
}

int fault_rules_parse(struct fault_rules *rules, const char *text, struct error *err)
{
	if (rules->text && strcmp(rules->text, text) == 0)
		return 0;
	char *rest = NULL;
	auto_free char *copy = strdup(text);
	fault_rules_fini(rules);
	rules->text = strdup(text);
	if (!copy || !rules->text)
		return error_set(err, ENOMEM, "no memory");
	for (char *r = strtok_r(copy, ";\n \t", &rest); r; r = strtok_r(NULL, ";\n \t", &rest)) {
		if (rule_parse(rules, r))
			continue;
		memset(rules->rule, 0, sizeof rules->rule);
		return error_set(err, EINVAL, "fault rule not understood, at '%s': %s", r, text);
	}
	return 0;
}

void fault_rules_fini(struct fault_rules *rules)
{
	free(rules->text);
	*rules = (struct fault_rules){0};
}

int fault_take(struct fault_failure *f, enum engine_op op, struct error *err)
{
	if (f->err == 0 || f->left == 0)
		return 0;
	if (f->left > 0)
		f->left--;
	return error_sql(err, f->err, f->sqlstate, "injected into %s: %s", engine_op_name(op),
			 f->sqlstate[0] ? f->sqlstate : strerror(f->err));
}

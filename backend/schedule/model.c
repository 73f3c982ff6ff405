/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"

const char *model_why_not(const struct backend *b, slot model)
{
	if (models_gone(b->models, model))
		return "the manifest has no such model any more";
	const struct model_runtime *m = &b->runtime[model];
	const char *why_not = models_why_not(b->models, model);
	if (why_not || m->why_not)
		return why_not ? why_not : m->why_not;
	return ledger_looked(b->ledger, model) || m->telling ? NULL : m->look_failed;
}

const char *model_sqlstate(const struct backend *b, slot model)
{
	const struct model_runtime *m = &b->runtime[model];
	return m->why_not ? m->sqlstate : m->look_sqlstate;
}

/* Kept only where there is something to say: a project has thousands of models. */
static void keep(char **where, const char *text)
{
	free(*where);
	*where = *text ? strdup(text) : NULL;
}

void model_refuses(struct model_runtime *m, const char *why_not, const char *sqlstate)
{
	snprintf(m->sqlstate, sizeof m->sqlstate, "%s", sqlstate);
	keep(&m->why_not, why_not);
}

void model_look_failed(struct model_runtime *m, const char *text, const char *sqlstate)
{
	snprintf(m->look_sqlstate, sizeof m->look_sqlstate, "%s", sqlstate);
	keep(&m->look_failed, text);
}

void model_target(struct model_runtime *m, const struct store_target *target)
{
	model_refuses(m, target->why_not.err ? target->why_not.text : "", target->why_not.sqlstate);
	m->strategy = target->strategy;
	keep(&m->notes, target->notes);
	m->lasting = target->lasting;
	m->event_time_type = target->event_time_type;
	m->exists = target->exists;
	m->lookable = target->lookable;
}

bool model_runs(const struct backend *b, slot model)
{
	return model_why_not(b, model) == NULL;
}

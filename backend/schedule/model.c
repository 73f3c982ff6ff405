/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "backend/models.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"

const char *model_why_not(const struct backend *b, slot model)
{
	if (models_gone(b->models, model))
		return "the manifest has no such model any more";
	const char *why_not = models_why_not(b->models, model);
	return why_not ? why_not : b->runtime[model].why_not;
}

/* Kept only where there is something to say: a project has thousands of models. */
static void keep(char **where, const char *text)
{
	free(*where);
	*where = *text ? strdup(text) : NULL;
}

void model_target(struct model_runtime *m, const struct store_target *target)
{
	keep(&m->why_not, target->why_not.err ? target->why_not.text : "");
	keep(&m->notes, target->notes);
	m->lasting = target->lasting;
	m->event_time_type = target->event_time_type;
	m->exists = target->exists;
}

void model_refuses(struct model_runtime *m, const char *why_not)
{
	keep(&m->why_not, why_not);
}

bool model_runs(const struct backend *b, slot model)
{
	return model_why_not(b, model) == NULL;
}

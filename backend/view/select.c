/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/base/cleanup.h"
#include "backend/base/count.h"
#include "backend/selection.h"
#include "backend/snapshot.h"

/* A name in a directory cannot hold a slash: %2F stands for one. */
static char *unescape(const char *expression)
{
	char *text = strdup(expression), *to = text;
	for (const char *p = text; p && *p; p++) {
		bool slash = strncasecmp(p, "%2f", 3) == 0;
		*to++ = slash ? '/' : *p;
		p += slash ? 2 : 0;
	}
	if (text)
		*to = '\0';
	return text;
}

static int selects_nothing(const char *expression, const struct selection *s, struct error *err)
{
	if (!s->n_nodes)
		return error_set(err, ENOENT, "%s selects nothing of the project", expression);
	return error_set(err, ENOENT, "%s selects no microbatch model, only what dbt builds (%s in all)",
			 expression, count_of(s->n_nodes, "node", "nodes").text);
}

int backend_select(const struct backend *b, const char *expression, struct backend_selection *out,
		   struct error *err)
{
	const struct snapshot *v = snapshot_of(b);
	struct selection s;
	*out = (struct backend_selection){0};
	auto_free char *text = unescape(expression);
	if (!text)
		return error_set(err, ENOMEM, "no memory for a selection");
	struct held_catalog *held;
	{
		LOCKED(v->lock);
		held = models_hold_current(v->models);
	}
	int r = selection_resolve(held_catalog(held), text, &s, err);
	if (r == 0 && s.n_models == 0)
		r = selects_nothing(text, &s, err);
	if (r == 0) {
		for (size_t i = 0; i < s.n_models; i++)
			s.models[i] = held_slot(held, s.models[i]);
		*out = (struct backend_selection){.models = steal(&s.models),
						  .n_models = s.n_models,
						  .not_rebuilt = steal(&s.not_rebuilt),
						  .n_not_rebuilt = s.n_not_rebuilt};
		s.n_not_rebuilt = 0;
	}
	selection_fini(&s);
	catalog_drop(held);
	return r;
}

void backend_selection_fini(struct backend_selection *s)
{
	for (size_t i = 0; i < s->n_not_rebuilt; i++)
		free(s->not_rebuilt[i]);
	free(s->models);
	free(s->not_rebuilt);
	*s = (struct backend_selection){0};
}

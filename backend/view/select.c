/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "backend/base/cleanup.h"
#include "backend/selection.h"
#include "backend/snapshot.h"

int backend_select(const struct backend *b, const char *expression, struct backend_selection *out,
		   struct error *err)
{
	const struct snapshot *v = snapshot_of(b);
	struct selection s;
	*out = (struct backend_selection){0};
	struct held_catalog *held;
	{
		LOCKED(v->lock);
		held = models_hold_current(v->models);
	}
	int r = selection_resolve(held_catalog(held), expression, &s, err);
	if (r == 0 && s.n_models == 0)
		r = error_set(err, ENOENT, "%s selects no microbatch model", expression);
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

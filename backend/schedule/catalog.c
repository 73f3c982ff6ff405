/* SPDX-License-Identifier: Apache-2.0 */
/* Which models there are: the first catalog comes at open, as any later one would. */
#include <stdlib.h>

#include "backend/base/count.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/models.h"
#include "backend/schedule/catalog.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/model.h"
#include "backend/schedule/runtime.h"

/* New slots get their place in what is kept a model, before anybody can name them. */
static int grow(struct backend *b)
{
	slot end = models_end(b->models);
	struct model_runtime *runtime = realloc(b->runtime, ((size_t)end + 1) * sizeof *runtime);
	if (!runtime)
		return -ENOMEM;
	b->runtime = runtime;
	for (slot s = b->runtime_end; s < end; s++) {
		if (ledger_enlist(b->ledger, s, models_prepared(b->models, s)) < 0)
			return -ENOMEM;
		b->runtime[s] = (struct model_runtime){0};
	}
	b->runtime_end = end;
	return 0;
}

int backend_swap(struct backend *b, struct catalog *catalog, struct error *err)
{
	int r = models_prepare(b->models, catalog, catalog_free, err);
	if (r < 0)
		return r;
	if (grow(b) < 0) {
		models_abandon(b->models);
		return error_set(err, ENOMEM, "no memory for %s",
				 count_of((uint64_t)models_end(b->models), "model", "models").text);
	}
	models_swap(b->models);
	/* What is kept of a model may name facts of the catalog that has gone. */
	for (slot s = 0; s < b->runtime_end; s++)
		touch_model(b, s);
	return 0;
}

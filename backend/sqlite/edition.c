/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/warehouse.h"

struct edition *edition_new(const struct model *m)
{
	struct edition *e = calloc(1, sizeof *e);
	if (e)
		*e = (struct edition){.refs = 1, .model = model_hold(m)};
	return e;
}

struct edition *edition_get(struct store *s, slot model)
{
	LOCKED(&s->lock);
	struct edition *e = warehouse_of(s)->targets[model].edition;
	e->refs++;
	return e;
}

void edition_put(struct store *s, struct edition *e)
{
	bool last = false;
	if (e) {
		LOCKED(&s->lock);
		last = --e->refs == 0;
	}
	if (!last)
		return;
	window_sql_free(e->sql);
	free(e->input_types);
	model_drop(e->model);
	free(e);
}

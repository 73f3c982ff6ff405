/* SPDX-License-Identifier: Apache-2.0 */
/* Who builds a model: what its facts need, and what of that the engine and its guest support. */
#include <stdlib.h>

#include "backend/base/count.h"
#include "backend/engine/private.h"

static bool builds(const struct engine *e, const struct model *m)
{
	const struct engine_config c = {.guest = e->guest, .elsewhere = e->elsewhere};
	return guest_builds(&c, e->native.supports, m);
}

/* NULL: nobody. */
static const struct builder_traits *builder_of(const struct engine *e, const struct model *m)
{
	if (builds(e, m))
		return &e->guest->traits;
	return !e->elsewhere && verdict_builds(m, e->native.supports) ? &e->native : NULL;
}

const struct builder_traits *engine_builder(const struct engine *e, const struct model *m)
{
	const struct builder_traits *builder = builder_of(e, m);
	return builder ? builder : engine_looks(e);
}

uint64_t engine_supports(const struct engine *e)
{
	return (e->elsewhere ? 0 : e->native.supports) | (e->guest ? e->guest->traits.supports : 0);
}

bool facts_guest(const struct open_store *s, const struct model *m)
{
	return m && builds(s->engine, m);
}

bool facts_same_builder(const struct open_store *s, const struct model *a, const struct model *b)
{
	return builder_of(s->engine, a) == builder_of(s->engine, b);
}

void facts_refuse(const struct open_store *s, const struct model *m, struct store_target *target)
{
	struct error why_not = {0};
	if (m)
		guest_refuses(&s->config, s->engine->native.supports, m, &why_not);
	if (!why_not.err)
		return;
	target->why_not = why_not;
	target->lasting = true;
}

int facts_take(struct open_store *s, const struct model *const *models, size_t n, struct error *err)
{
	LOCKED(&s->lock);
	const struct model **facts = reallocarray(s->facts, n + 1, sizeof *facts);
	if (!facts)
		return error_set(err, ENOMEM, "no memory for %s", count_of(n, "model", "models").text);
	s->facts = facts;
	for (size_t i = 0; i < n; i++) {
		const struct model *was = i < s->n_facts ? facts[i] : NULL;
		/* What runs of a model that has gone goes on as what it was. */
		facts[i] = models[i] ? model_hold(models[i]) : was;
		if (models[i])
			model_drop(was);
	}
	s->n_facts = n;
	return 0;
}

void facts_drop(struct open_store *s)
{
	for (size_t i = 0; i < s->n_facts; i++)
		model_drop(s->facts[i]);
	free(s->facts);
}

const struct model *facts_hold(struct open_store *s, slot model)
{
	LOCKED(&s->lock);
	bool known = model >= 0 && (size_t)model < s->n_facts && s->facts[model];
	return known ? model_hold(s->facts[model]) : NULL;
}

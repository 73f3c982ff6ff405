/* SPDX-License-Identifier: Apache-2.0 */
/* What bringing models up to date builds, taken together. */
#include "backend/plan.h"

int plan_run_part(const struct ledger *l, const struct models *ms, slot model, struct ordinal_range batches,
		  int64_t now, struct batch_set *out, size_t *frozen)
{
	const struct model *m = models_at(ms, model);
	ordinal newest = plan_existing(m, now).end - 1;
	int r = batch_set_init(out, batches);
	for (ordinal o = batches.first; o < batches.end && r == 0; o++) {
		if (!plan_run_reason(m, plan_state(l, ms, model, o), o, newest))
			continue;
		if (ledger_frozen(l, model, o, NULL))
			++*frozen;
		else
			batch_set_add(out, o);
	}
	return r;
}

struct spread {
	const struct ledger *ledger;
	const struct models *models;
	struct batch_set *out; /* of `model` */
	slot model;
	bool changed;
};

/*
 * ours: what it reads is built by this very request. Then even a batch that is queued already is asked for
 * with it, or a worker might begin it just before the request is recorded.
 */
static void add_read_by(struct spread *s, struct ordinal_range read_by, bool ours)
{
	struct batch_set *out = s->out;
	ordinal end = read_by.end < out->range.end ? read_by.end : out->range.end;
	for (ordinal o = read_by.first > out->range.first ? read_by.first : out->range.first; o < end; o++) {
		enum batch_state state = ledger_state(s->ledger, s->model, o);
		if (batch_set_has(out, o) ||
		    !(state == BATCH_DONE || state == BATCH_RUNNING || (ours && state == BATCH_QUEUED)) ||
		    ledger_frozen(s->ledger, s->model, o, NULL))
			continue;
		batch_set_add(out, o);
		s->changed = true;
	}
}

static struct ordinal_range window_of(const struct models *ms, slot reader, slot read,
				      struct ordinal_range batches)
{
	enum batch_size size = models_batch_size(ms, read);
	return calendar_touched(models_batch_size(ms, reader), calendar_start(size, batches.first),
				calendar_start(size, batches.end));
}

static void add_asked(struct spread *s, slot read, const struct batch_set *asked)
{
	struct ordinal_range next;
	for (next = batch_set_next(asked, 0); next.first < next.end; next = batch_set_next(asked, next.end))
		add_read_by(s, window_of(s->models, s->model, read, next), true);
}

static void add_unsettled(struct spread *s, slot read)
{
	struct ordinal_range known = ledger_recorded(s->ledger, read), next = known;
	while (ledger_queued(s->ledger, read) + ledger_running(s->ledger, read) > 0 &&
	       (next.first = ledger_next_unsettled(s->ledger, read, next)) < known.end) {
		struct ordinal_range found = {next.first, ledger_next_settled(s->ledger, read, next)};
		add_read_by(s, window_of(s->models, s->model, read, found), false);
		next.first = found.end;
	}
}

void plan_run_spread(const struct ledger *l, const struct models *ms, struct batch_set *const *sets)
{
	struct spread s = {.ledger = l, .models = ms};
	/* Mostly one pass and one that finds nothing: a selection's models are in order, but the slots are
	 * not. */
	do {
		s.changed = false;
		for (s.model = 0; s.model < models_end(ms); s.model++) {
			size_t n;
			const struct model_read *reads = models_reads(ms, s.model, &n);
			s.out = sets[s.model];
			for (size_t i = 0; s.out && i < n; i++) {
				slot u = reads[i].model;
				if (!reads[i].windowed || u == s.model)
					continue;
				add_unsettled(&s, u);
				if (sets[u])
					add_asked(&s, u, sets[u]);
			}
		}
	} while (s.changed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Looks of one mount at the target of its first model, and what is known of that then. After <cmocka.h>. */
#ifndef BATCHFS_TESTS_POSTGRES_LOOKS_H
#define BATCHFS_TESTS_POSTGRES_LOOKS_H

#include <string.h>

#include "tests/unit/postgres_world.h"
#include "tests/unit/seen_attempts.h"

static inline const struct builder_ops *builder(void)
{
	return engine_postgres.builder;
}

static inline const char *history(struct world *w, struct seen_attempts *s)
{
	struct error err = {0};
	s->first = day(0);
	if (!s->text.str)
		s->text = (struct strbuf)STRBUF_INIT;
	strbuf_clear(&s->text);
	if (builder()->history(w->worker, 0, 100, &s->cursor, see_attempt, s, &err))
		fail_msg("%s", err.text);
	return s->text.len ? s->text.str : "";
}

/* A letter for each of the first days as it was last reported: a adopted, d done, q requeued, r running. */
static inline const char *shown(struct world *w)
{
	static char text[8];
	for (int i = 0; i < 7; i++) {
		const struct seen_state *s = state_of(w, 0, i);
		text[i] = !s->known			    ? '.'
			  : s->s.run == ROW_RUNNING	    ? 'r'
			  : s->s.run == ROW_REQUEUED	    ? 'q'
			  : s->s.outcome == OUTCOME_FAILED  ? 'f'
			  : s->s.outcome == OUTCOME_SKIPPED ? 's'
			  : s->s.outcome != OUTCOME_DONE    ? '.'
			  : s->s.adopted		    ? 'a'
							    : 'd';
	}
	return text;
}

static inline void look(struct world *w, enum look_kind kind)
{
	struct error err = {0};
	if (builder()->look(w->worker, 0, kind, &w->sink, &err))
		fail_msg("%s", err.text);
}

/* What is recorded, as the next mount sees it. */
static inline const char *recorded(struct world *w)
{
	world_close(w);
	memset(w->states, 0, sizeof w->states);
	world_open(w);
	return shown(w);
}

#endif

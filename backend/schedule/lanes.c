/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/lanes.h"

#include "backend/schedule/history_job.h"
#include "backend/schedule/prune.h"
#include "backend/schedule/refresh_beside.h"
#include "backend/schedule/refresh_clear.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/slow.h"
#include "backend/schedule/validate.h"

static lane_source_fn *look_sources[] = {refusal_source, look_source, NULL};
static lane_source_fn *clear_sources[] = {clear_source, NULL};
static lane_source_fn *beside_sources[] = {beside_source, NULL};
static lane_source_fn *history_sources[] = {validation_note_source, history_source, prune_source, NULL};
static lane_source_fn *validation_sources[] = {validation_source, NULL};

/* Of the lane that reads histories, and records what is asked of validations. */
static void records_end(struct backend *b)
{
	history_end(b);
	validation_notes_end(b);
}

void lanes_init(struct backend *b, const pthread_condattr_t *monotonic)
{
	static const struct lane all[LANE_KINDS] = {
		[LANE_LOOK] = {.name = "looks", .sources = look_sources},
		[LANE_HISTORY] = {.name = "history", .sources = history_sources, .end = records_end},
		[LANE_CLEAR] = {.name = "refreshes", .sources = clear_sources},
		[LANE_BESIDE] = {.name = "exchanges", .sources = beside_sources},
		[LANE_VALIDATION] = {.name = "validation", .sources = validation_sources},
	};
	for (int i = 0; i < LANE_KINDS; i++) {
		b->lanes[i] = all[i];
		b->lanes[i].b = b;
		lane_init(&b->lanes[i], monotonic);
	}
}

void lanes_fini(struct backend *b)
{
	for (int i = 0; i < LANE_KINDS; i++)
		lane_fini(&b->lanes[i]);
}

void lanes_wake(struct backend *b)
{
	for (int i = 0; i < LANE_KINDS; i++)
		lane_wake(&b->lanes[i]);
}

void lanes_interrupt(struct backend *b)
{
	for (int i = 0; i < LANE_KINDS; i++)
		lane_interrupt(&b->lanes[i]);
}

void lanes_join(struct backend *b)
{
	for (int i = 0; i < LANE_KINDS; i++)
		pthread_join(b->lanes[i].thread, NULL);
}

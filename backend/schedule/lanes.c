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
static lane_source_fn *refresh_sources[] = {clear_source, NULL};
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
	b->look_lane = (struct lane){.b = b, .name = "looks", .sources = look_sources};
	b->refresh_lane = (struct lane){.b = b, .name = "refreshes", .sources = refresh_sources};
	b->beside_lane = (struct lane){.b = b, .name = "exchanges", .sources = beside_sources};
	b->history_lane =
		(struct lane){.b = b, .name = "history", .sources = history_sources, .end = records_end};
	b->validation_lane = (struct lane){.b = b, .name = "validation", .sources = validation_sources};
	lane_init(&b->look_lane, monotonic);
	lane_init(&b->refresh_lane, monotonic);
	lane_init(&b->beside_lane, monotonic);
	lane_init(&b->history_lane, monotonic);
	lane_init(&b->validation_lane, monotonic);
}

void lanes_fini(struct backend *b)
{
	lane_fini(&b->validation_lane);
	lane_fini(&b->history_lane);
	lane_fini(&b->refresh_lane);
	lane_fini(&b->beside_lane);
	lane_fini(&b->look_lane);
}

void lanes_wake(struct backend *b)
{
	lane_wake(&b->look_lane);
	lane_wake(&b->refresh_lane);
	lane_wake(&b->beside_lane);
	lane_wake(&b->history_lane);
	lane_wake(&b->validation_lane);
}

void lanes_interrupt(struct backend *b)
{
	lane_interrupt(&b->look_lane);
	lane_interrupt(&b->refresh_lane);
	lane_interrupt(&b->beside_lane);
	lane_interrupt(&b->history_lane);
	lane_interrupt(&b->validation_lane);
}

void lanes_join(struct backend *b)
{
	pthread_join(b->look_lane.thread, NULL);
	pthread_join(b->refresh_lane.thread, NULL);
	pthread_join(b->beside_lane.thread, NULL);
	pthread_join(b->history_lane.thread, NULL);
	pthread_join(b->validation_lane.thread, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Two models of days and a ledger of them. */
#ifndef BATCHFS_TESTS_LEDGER_FIXTURE_H
#define BATCHFS_TESTS_LEDGER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/ledger.h"
#include "backend/ledger/state.h"
#include "backend/plan.h"
#include "tests/unit/models_fixture.h"

#define DAY_US INT64_C(86400000000)
#define BEGIN  INT64_C(1704067200000000) /* 2024-01-01 */

static struct model models[2];
static struct catalog catalog = {.models = models, .n_models = 2};
static struct models *known;
static ordinal first_day;

static inline int set_up(void **state)
{
	models[0] = (struct model){.dir = "a",
				   .batch_size = BATCH_DAY,
				   .begin = BEGIN,
				   .code = "c1",
				   .lookback = 1,
				   .concurrent_batches = TRI_UNSET};
	models[1] = models[0];
	models[1].dir = "b";
	first_day = calendar_ordinal(BATCH_DAY, BEGIN);
	known = models_of(&catalog);
	*state = ledger_new();
	for (slot i = 0; i < 2; i++)
		assert_int_equal(ledger_enlist(*state, i, &models[i]), 0);
	return 0;
}

static inline int tear_down(void **state)
{
	ledger_free(*state);
	models_free(known);
	return 0;
}

static inline struct ordinal_range days(ordinal from, ordinal to)
{
	return (struct ordinal_range){first_day + from, first_day + to};
}

static inline void ask(struct ledger *l, slot model, int64_t id, ordinal from, ordinal to)
{
	struct store_request_row r = {.id = id,
				      .seq = id,
				      .model = model,
				      .batches = days(from, to),
				      .uid = 1000,
				      .command = "touch",
				      .code = "c1",
				      .open = true};
	assert_int_equal(ledger_put_request(l, &r), 0);
}

static inline ordinal always(const void *ctx, slot model, ordinal batch)
{
	(void)ctx;
	(void)model;
	return batch;
}

static inline struct ledger_run next_run(struct ledger *l, uint32_t most)
{
	return ledger_next_run(l, 0, most, always, NULL);
}

static inline struct store_state done(ordinal day, uint32_t attempt)
{
	ordinal b = first_day + day;
	int64_t end = calendar_start(BATCH_DAY, b + 1);
	return (struct store_state){.batch = b,
				    .outcome = OUTCOME_DONE,
				    .attempt = attempt,
				    .started = end + 1000000,
				    .finished = end + 3500000,
				    .built = end + 3500000,
				    .rows_deleted = 1,
				    .rows_inserted = 7,
				    .code = "c1",
				    .sqlstate = "",
				    .message = ""};
}

#endif

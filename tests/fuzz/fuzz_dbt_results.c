/* SPDX-License-Identifier: Apache-2.0 */
/* Any file as the run_results.json of a dbt. The first byte chooses the model's batch size. */
#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/base/cleanup.h"
#include "backend/dbt/results.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct results *r, uint32_t count)
{
	for (uint32_t i = count; i < CLAIM_MAX; i++)
		assert(!run_marked(&r->successful, i) && !run_marked(&r->failed, i));
	if (!r->found)
		assert(run_marks_none(&r->successful) && run_marks_none(&r->failed) && !r->message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t counts[] = {1, 3, 64, CLAIM_MAX};
	const struct model model = {.unique_id = "model.p.m",
				    .batch_size = size ? (enum batch_size)(data[0] % 4) : BATCH_DAY};
	struct results results;
	char path[64];

	if (size == 0)
		return 0;
	auto_fd int fd = memfd_create("results", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
		return 0;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		ordinal first = calendar_ordinal(model.batch_size, INT64_C(1725148800000000));
		results_read(path, "i", &model, first, counts[i], &results);
		check(&results, counts[i]);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/clock.h"

#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_us(const struct clock *clock)
{
	return read_clock(CLOCK_REALTIME) + clock->offset_us;
}

struct clock clock_starting_at(int64_t start_us)
{
	return (struct clock){.offset_us = start_us - read_clock(CLOCK_REALTIME)};
}

int64_t clock_monotonic_us(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

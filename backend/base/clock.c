/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/base/clock.h"

#include <stdbool.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_now_us(const struct clock *clock)
{
	return clock_of_system(clock, read_clock(CLOCK_REALTIME));
}

int64_t clock_of_system(const struct clock *clock, int64_t system_us)
{
	return system_us + __atomic_load_n(&clock->offset_us, __ATOMIC_RELAXED);
}

struct clock clock_starting_at(int64_t start_us)
{
	return (struct clock){.offset_us = start_us - read_clock(CLOCK_REALTIME)};
}

void clock_follow(struct clock *clock, int64_t seen_us)
{
	int64_t offset = __atomic_load_n(&clock->offset_us, __ATOMIC_RELAXED);
	int64_t behind = seen_us + 1 - (read_clock(CLOCK_REALTIME) + offset);
	while (behind > 0 && behind <= CLOCK_FOLLOW_US &&
	       !__atomic_compare_exchange_n(&clock->offset_us, &offset, offset + behind, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		behind = seen_us + 1 - (read_clock(CLOCK_REALTIME) + offset);
}

int64_t clock_monotonic_us(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

struct timespec clock_moment_in(int64_t us)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	int64_t ns = t.tv_nsec + us % 1000000 * 1000;
	t.tv_sec += us / 1000000 + ns / 1000000000;
	t.tv_nsec = ns % 1000000000;
	return t;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one source of "now". Everything that is shown or recorded as a time asks
 * here, so that `-o now=` holds together; waiting uses the monotonic clock.
 */
#ifndef BATCHFS_BASE_CLOCK_H
#define BATCHFS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

struct clock {
	int64_t offset_us; /* added to the system's clock; 0: none. Atomic */
};

/* Microseconds since 1970-01-01 UTC. */
int64_t clock_now_us(const struct clock *clock);

/* What this clock showed, or will show, when the system's shows system_us: of a file's time, for example. */
int64_t clock_of_system(const struct clock *clock, int64_t system_us);

/* A clock that shows start_us now and runs on. */
struct clock clock_starting_at(int64_t start_us);

/*
 * Something that was heard of happened at seen_us, by the clock of whoever did it: what happens here from now
 * on is later (Lamport's rule). A clock that is further ahead than CLOCK_FOLLOW_US is not believed. Any
 * thread.
 */
#define CLOCK_FOLLOW_US (60 * INT64_C(1000000))
void clock_follow(struct clock *clock, int64_t seen_us);

/* Microseconds of CLOCK_MONOTONIC: for deadlines, never shown. */
int64_t clock_monotonic_us(void);

/* A moment on the monotonic clock, `us` from now, for pthread_cond_timedwait(). */
struct timespec clock_moment_in(int64_t us);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound release. `auto_free char *s = ...;` frees s on every way out;
 * `return steal(&s);` hands it over instead.
 */
#ifndef BATCHFS_BASE_CLEANUP_H
#define BATCHFS_BASE_CLEANUP_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_unlock(pthread_mutex_t **m)
{
	if (*m)
		pthread_mutex_unlock(*m);
}

static inline pthread_mutex_t *cleanup_lock(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
	return m;
}

#define auto_free __attribute__((cleanup(cleanup_free)))
#define auto_fd	  __attribute__((cleanup(cleanup_fd)))
#define auto_file __attribute__((cleanup(cleanup_file)))

#define CLEANUP_JOIN_(a, b) a##b
#define CLEANUP_JOIN(a, b)  CLEANUP_JOIN_(a, b)

/* Holds a pthread mutex until the end of the scope. */
#define LOCKED(mutex)                                                                                        \
	__attribute__((cleanup(cleanup_unlock), unused)) pthread_mutex_t *CLEANUP_JOIN(locked_, __LINE__) =  \
		cleanup_lock(mutex)

/* Returns *p and clears it, so that its auto_free finds nothing to free. */
#define steal(p)                                                                                             \
	(__extension__({                                                                                     \
		__typeof__(p) steal_p_ = (p);                                                                \
		__typeof__(*p) steal_v_ = *steal_p_;                                                         \
		*steal_p_ = NULL;                                                                            \
		steal_v_;                                                                                    \
	}))

#endif

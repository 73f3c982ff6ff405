/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person must read about a failure. The caller owns the struct (on its
 * stack, nothing to free); every function that takes one accepts NULL.
 * A failing function fills it once, at the place that knows the reason, and
 * returns the negative errno; whoever answers the user reports it, once.
 */
#ifndef BATCHFS_BASE_ERROR_H
#define BATCHFS_BASE_ERROR_H

#include <errno.h>

struct error {
	int err;	  /* positive errno, 0: no error */
	char sqlstate[6]; /* "" where no SQL server spoke */
	char text[1018];  /* one sentence or more, UTF-8, no newline at its end */
};

/* Each returns -err, so that `return error_set(e, EINVAL, ...)` reads well. */
int error_set(struct error *e, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int error_sql(struct error *e, int err, const char *sqlstate, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Puts text before what is there: "FILE: nodes.x: ...". Returns -e->err. */
int error_prefix(struct error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "EPERM" for EPERM; "EIO" for a number that is no errno. Never NULL. */
const char *error_name(int err);

#endif

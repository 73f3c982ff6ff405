/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine's history tells, as one line of text: "day#attempt outcome/rows/uid/reason/message". */
#ifndef BATCHFS_TESTS_SEEN_ATTEMPTS_H
#define BATCHFS_TESTS_SEEN_ATTEMPTS_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backend/base/strbuf.h"
#include "backend/builder.h"

struct seen_attempts {
	ordinal first; /* day 0 */
	struct strbuf text;
	char *cursor;
	int64_t us; /* of the last one */
};

static inline void see_attempt(void *ctx, const struct ended_attempt *a)
{
	struct seen_attempts *s = ctx;
	s->us = a->us;
	strbuf_printf(&s->text, "%s%d:%d#%u %s/%" PRId64 "/%" PRId64 "/%s/%s", s->text.len ? ", " : "",
		      a->model, (int)(a->batch - s->first), a->attempt, a->outcome, a->rows_inserted, a->uid,
		      a->reason, a->message);
}

static inline void seen_attempts_fini(struct seen_attempts *s)
{
	strbuf_fini(&s->text);
	free(s->cursor);
	s->cursor = NULL;
}

#endif

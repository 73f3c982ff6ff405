/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON values in the forms that the documents share. Each function returns a new reference; NULL: no memory.
 * Only the document of a batch is written by writer.h instead, which can also measure it.
 */
#ifndef BATCHFS_REPORT_JSON_H
#define BATCHFS_REPORT_JSON_H

#include <jansson.h>

#include "backend/report/report.h"

json_t *json_text(const char *text); /* null for NULL and ""; bytes that are no UTF-8 are replaced */
json_t *json_instant(int64_t us);
json_t *json_time(int64_t us);	  /* null for 0, which is not known */
json_t *json_seconds(int64_t us); /* with milliseconds */
json_t *json_count(int64_t n);	  /* null for a negative number, which is not known */
json_t *json_name(const struct model *m, ordinal batch);
json_t *json_refusal(const struct report_refusal *r); /* null for NULL */
json_t *json_strings(const char *const *list);	      /* the list ends with NULL */

/* range.c. What would be built; m is NULL where several models are counted: their ordinals cannot be named
 * then. */
json_t *json_would_build(const struct report_summary *s, const struct model *m);
/* The names of frozen batches. Where m is NULL, of all models, each with its model's directory; else only
 * those of this model, which come next in the list. */
json_t *json_frozen(struct report_frozen *f, const struct model *m);
/* range.c: the object with the counts. m is NULL where they are of several models. */
json_t *json_summary(const struct report_summary *s, const struct model *m, struct report_frozen *frozen,
		     const struct report_refusal *refusal);
/* status.c: adds to `o` (NULL is fine) what only .status says. named: each entry names its model. */
void json_standing(json_t *o, const struct report_standing *s, bool named,
		   const struct report_source *source);

/*
 * Appends the value and a newline, and drops the reference. -ENOMEM, also where `value` is NULL.
 * json_finish() writes a key a line, json_line() all of the value on one line.
 */
int json_finish(json_t *value, struct strbuf *out);
int json_line(json_t *value, struct strbuf *out);

#endif

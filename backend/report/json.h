/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON values in the forms that the documents share. Each returns a new reference, NULL: no memory. A batch's
 * document is written by writer.h, which can also measure it.
 */
#ifndef BATCHFS_REPORT_JSON_H
#define BATCHFS_REPORT_JSON_H

#include <jansson.h>

#include "backend/report/report.h"

json_t *json_text(const char *text); /* NULL or "": null; what is no UTF-8 is replaced */
json_t *json_instant(int64_t us);
json_t *json_time(int64_t us);	  /* 0: not known, null */
json_t *json_seconds(int64_t us); /* milliseconds are kept */
json_t *json_count(int64_t n);	  /* negative: null */
json_t *json_name(const struct model *m, ordinal batch);
json_t *json_refusal(const struct report_refusal *r); /* NULL: null */
json_t *json_strings(const char *const *list);	      /* NULL-terminated */

/* range.c: the counts; m NULL: of several models. */
json_t *json_summary(const struct report_summary *s, const struct model *m, struct report_frozen *frozen,
		     const struct report_refusal *refusal);
/* status.c: adds what only .status says to `o` (NULL is fine). named: entries name their models. */
void json_standing(json_t *o, const struct report_standing *s, bool named,
		   const struct report_source *source);

/*
 * Appends the value and a newline, takes the reference. `value` NULL: -ENOMEM. json_finish(): a key a line;
 * json_line(): all in one.
 */
int json_finish(json_t *value, struct strbuf *out);
int json_line(json_t *value, struct strbuf *out);

#endif

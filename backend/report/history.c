/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/report/json.h"

#include <string.h>

static json_t *by_whom(const struct ended_attempt *a)
{
	return a->cancelled_uid < 0 ? json_null()
				    : json_pack("{s:I, s:o}", "uid", (json_int_t)a->cancelled_uid, "command",
						json_text(a->cancelled_command));
}

int report_attempt(const struct model *m, const struct ended_attempt *a, struct strbuf *out)
{
	json_t *line = json_pack(
		"{s:o, s:s, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "at", json_time(a->at),
		"model", m->dir, "batch", json_name(m, a->batch), "attempt", (json_int_t)a->attempt,
		"outcome", a->outcome, "seconds", a->us < 0 ? json_null() : json_seconds(a->us),
		"rows_deleted", json_count(a->rows_deleted), "rows_inserted", json_count(a->rows_inserted),
		"uid", json_count(a->uid), "command", json_text(a->command), "reason", json_text(a->reason),
		"sqlstate", json_text(a->sqlstate), "message", json_text(a->message));
	if (line && strcmp(a->outcome, "cancelled") == 0)
		json_object_set_new(line, "cancelled_by", by_whom(a));
	return json_line(line, out);
}

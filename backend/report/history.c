/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/report/json.h"

int report_attempt(const struct model *m, const struct ended_attempt *a, struct strbuf *out)
{
	return json_line(json_pack("{s:o, s:s, s:o, s:I, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "at",
				   json_time(a->at), "model", m->dir, "batch", json_name(m, a->batch),
				   "attempt", (json_int_t)a->attempt, "outcome", a->outcome, "seconds",
				   a->us < 0 ? json_null() : json_seconds(a->us), "rows_deleted",
				   json_count(a->rows_deleted), "rows_inserted", json_count(a->rows_inserted),
				   "uid", json_count(a->uid), "command", json_text(a->command), "reason",
				   json_text(a->reason), "sqlstate", json_text(a->sqlstate), "message",
				   json_text(a->message)),
			 out);
}

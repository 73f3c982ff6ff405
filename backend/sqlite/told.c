/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/look.h"
#include "backend/sqlite/sql.h"

int told_write(struct worker *w, const struct model *m, int64_t table_id, const char *outcome, int64_t at,
	       const struct found_list *found, struct error *err)
{
	auto_stmt *stmt = NULL;
	const struct found_batch *list = found->list;
	int r = worker_prepare(w, SQL_TOLD, &stmt, err);
	for (size_t i = 0, end; r == 0 && i < found->n; i = end) {
		for (end = i + 1; end < found->n && list[end].batch == list[end - 1].batch + 1 &&
				  list[end].attempt == list[i].attempt;)
			end++;
		r = db_bind(stmt, err, "iiiiti", table_id, calendar_start(m->batch_size, list[i].batch),
			    calendar_start(m->batch_size, list[end - 1].batch), (int64_t)list[i].attempt,
			    outcome, at);
		if (r == 0)
			r = db_run(stmt, err);
	}
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/done.h"

#include "backend/sqlite/schema.h"
#include "backend/sqlite/sql.h"

int done_rows_open(sqlite3 *db, struct done_rows *out, struct error *err)
{
	bool present;
	*out = (struct done_rows){0};
	int r = warehouse_schema_check(db, &present, err);
	if (r < 0 || !present)
		return r;
	r = db_prepare(db, SQL_DONE_ONE, &out->one, err);
	if (r == 0)
		r = db_prepare(db, SQL_DONE_ALL, &out->all, err);
	if (r < 0)
		done_rows_close(out);
	return r;
}

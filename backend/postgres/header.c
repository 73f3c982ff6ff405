/* SPDX-License-Identifier: Apache-2.0 */
/* sql_header: a statement a message, before the statement that runs the query. */
#include <string.h>

#include "backend/postgres/pgstore.h"

void header_add(struct pg_pipe *p, const struct model *m)
{
	const char *sql = m->sql_header;
	size_t len = sql ? strlen(sql) : 0, start = 0;
	bool words = false;
	for (size_t at = 0; at <= len && sql;) {
		struct sql_token t = sql_lex(SQL_POSTGRES, sql, len, at);
		bool ends = t.kind == SQL_END || (t.kind == SQL_PUNCT && sql[t.start] == ';');
		at = t.start + t.len + (t.kind == SQL_END);
		words |= !ends && t.kind != SQL_SPACE;
		if (!ends)
			continue;
		auto_strbuf one = STRBUF_INIT;
		strbuf_add(&one, sql + start, t.start - start);
		p->broken |= strbuf_broken(&one);
		if (words)
			pg_add(p, one.str, NULL);
		start = at;
		words = false;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/guard.h"

#include <stdio.h>
#include <string.h>

static bool begins(const char *text, const char *with)
{
	return text && sqlite3_strnicmp(text, with, (int)strlen(with)) == 0;
}

/* Of batchfs, or of SQLite itself. */
static bool is_reserved(const char *table)
{
	return begins(table, "batchfs_") || begins(table, "sqlite_");
}

/*
 * Read by a query as a table (pragma_table_info(...)) or by a virtual table for itself (fts5 asks for
 * data_version). None of these changes anything without an argument, and of those with one it is a name.
 */
static bool pragma_reads(const char *name, const char *value)
{
	static const char *const schema[] = {
		"table_info",	 "table_xinfo",	     "table_list",     "index_list",  "index_info",
		"index_xinfo",	 "foreign_key_list", "database_list",  "module_list", "pragma_list",
		"function_list", "collation_list",   "compile_options"};
	static const char *const number[] = {"data_version", "page_size",      "page_count",	"encoding",
					     "user_version", "application_id", "schema_version"};
	for (size_t i = 0; i < sizeof schema / sizeof *schema; i++)
		if (sqlite3_stricmp(name, schema[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof number / sizeof *number && !value; i++)
		if (sqlite3_stricmp(name, number[i]) == 0)
			return true;
	return false;
}

static int deny(struct worker *w, const char *what, const char *name, const char *trigger)
{
	if (!w->denied[0])
		snprintf(w->denied, sizeof w->denied, "%s %.100s%s%.100s", what, name ? name : "(no name)",
			 trigger ? ", by way of " : "", trigger ? trigger : "");
	return SQLITE_DENY;
}

/* What reads, and what writes rows. */
static int authorize_model(struct worker *w, int action, const char *a, const char *b, const char *trigger)
{
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		if (sqlite3_stricmp(b, "load_extension") == 0 ||
		    (w->guard == GUARD_QUERY && begins(b, "batchfs_")))
			return deny(w, "call the function", b, trigger);
		return SQLITE_OK;
	case SQLITE_PRAGMA:
		return pragma_reads(a, b) ? SQLITE_OK : deny(w, "use the pragma", a, trigger);
	case SQLITE_CREATE_TABLE:
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
	case SQLITE_DELETE:
		/* A virtual table says its columns so; what is no query is refused by query_check(). */
		if (!trigger && (action == SQLITE_CREATE_TABLE || begins(a, "sqlite_master")))
			return SQLITE_OK;
		if (w->guard == GUARD_ROWS && !is_reserved(a))
			return SQLITE_OK;
		return deny(w, "write the table", a, trigger);
	case SQLITE_ATTACH:
		return deny(w, "attach the file", a, trigger);
	case SQLITE_DETACH:
		return deny(w, "detach the file", a, trigger);
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
		return deny(w, "say", a, trigger);
	default:
		return deny(w, "change the database with", a, trigger);
	}
}

static int authorize(void *ctx, int action, const char *a, const char *b, const char *db, const char *trigger)
{
	struct worker *w = ctx;
	bool writes = action == SQLITE_INSERT || action == SQLITE_UPDATE || action == SQLITE_DELETE;
	switch (w->guard) {
	case GUARD_OFF:
		return SQLITE_OK;
	case GUARD_OWN:
		return writes && trigger ? deny(w, "change the table", a, trigger) : SQLITE_OK;
	case GUARD_QUERY:
	case GUARD_ROWS:
		break;
	}
	return authorize_model(w, action, a, b, trigger);
}

int guard_install(struct worker *w, struct error *err)
{
	if (sqlite3_set_authorizer(w->db, authorize, w) != SQLITE_OK ||
	    sqlite3_db_config(w->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK)
		return db_error(w->db, err);
	sqlite3_limit(w->db, SQLITE_LIMIT_ATTACHED, 0);
	return 0;
}

struct guard_scope guard_begin(struct worker *w, enum guard guard)
{
	w->guard = guard;
	w->denied[0] = '\0';
	return (struct guard_scope){w};
}

void guard_end(struct guard_scope *scope)
{
	scope->w->guard = GUARD_OFF;
}

int guard_explain(struct worker *w, int r, struct error *err)
{
	if (r >= 0 || r == -ECANCELED || !w->denied[0])
		return r;
	return error_sql(err, EACCES, "42501", "%s must not %s",
			 w->guard == GUARD_OWN ? "a trigger" : "the model's SQL, or a trigger on its table,",
			 w->denied);
}

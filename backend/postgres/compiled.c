/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/postgres/compiled.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/manifest/hash.h"
#include "backend/postgres/sql.h"

/* Models whose SQL travels in one statement. */
#define AT_ONCE 64

/* A role that may not do it goes without; it is told once which right it lacks. */
static int forgiven(struct store *s, int r, const struct error *why, struct error *err)
{
	if (!r || strcmp(why->sqlstate, "42501") != 0) {
		if (r && err)
			*err = *why;
		return r;
	}
	auto_result *user = NULL;
	if (s->forgetful || pg_query_row(&s->control, pg_deadline(s), SQL_COMPILED_USER, NULL, &user, NULL))
		return 0;
	s->forgetful = true;
	log_warning(
		s->config->log,
		"no SQL is remembered here, so a manifest without SQL leaves its models without: GRANT SELECT, "
		"INSERT, UPDATE, DELETE ON batchfs.compiled TO %s",
		pg_text(user, 0, 0));
	return 0;
}

static void put_keys(struct pg_columns *c, const struct compiled_sql *q)
{
	pg_array_text(&c->column[0], q->unique_id);
	pg_array_text(&c->column[1], q->made_of);
}

/* The database holds no such character, so it holds no such SQL, and cannot run it either. */
static bool unheld(const struct error *why)
{
	return strcmp(why->sqlstate, "22P05") == 0 || strcmp(why->sqlstate, "22021") == 0;
}

static int find(struct store *s, const struct compiled_sql *asked, size_t first, size_t n,
		compiled_sql_fn *tell, void *ctx, struct error *err)
{
	auto_columns keys;
	pg_columns_init(&keys, 2);
	for (size_t i = first; i < first + n; i++)
		put_keys(&keys, &asked[i]);
	pg_columns_end(&keys);
	struct pg_params params = {0};
	pg_param_columns(&params, &keys, 0, 2);
	if (pg_columns_broken(&keys))
		return error_set(err, ENOMEM, "no memory for the SQL of models");
	auto_result *found = NULL;
	int r = store_query(s, SQL_COMPILED_FIND, &params, &found, err);
	for (int row = 0; !r && row < PQntuples(found); row++) {
		int64_t i = pg_int(found, row, 0);
		if (i >= 0 && (size_t)i < n)
			tell(ctx, first + (size_t)i, pg_text(found, row, 1), pg_time(found, row, 2));
	}
	return r;
}

int pg_recall(struct store *s, const struct compiled_sql *asked, size_t n, compiled_sql_fn *tell, void *ctx,
	      struct error *err)
{
	int r = s->schema ? store_connect(s, true, err) : 0;
	for (size_t i = 0; s->schema && !r && i < n; i += AT_ONCE) {
		struct error why = {0};
		size_t some = n - i < AT_ONCE ? n - i : AT_ONCE;
		r = find(s, asked, i, some, tell, ctx, &why);
		for (size_t k = i; r && unheld(&why) && k < i + some; k++) {
			struct error alone = {0};
			int one = find(s, asked, k, 1, tell, ctx, &alone);
			if (one && !unheld(&alone))
				return forgiven(s, one, &alone, err);
			if (k == i + some - 1)
				r = 0;
		}
		if (r)
			return forgiven(s, r, &why, err);
	}
	return r;
}

static void put_digest(struct strbuf *b, const char *sql)
{
	char text[17];
	snprintf(text, sizeof text, "%016" PRIx64, hash_mix(FNV_BASIS, sql));
	pg_array_text(b, text);
}

/* known[i]: list[i] need not be sent. */
static int find_known(struct store *s, const struct compiled_sql *list, size_t n, bool *known,
		      struct error *err)
{
	auto_columns c;
	pg_columns_init(&c, 4);
	for (size_t i = 0; i < n; i++) {
		put_keys(&c, &list[i]);
		put_digest(&c.column[2], list[i].sql);
		pg_array_time(&c.column[3], list[i].compiled_at);
	}
	pg_columns_end(&c);
	struct pg_params params = {0};
	pg_param_columns(&params, &c, 0, 4);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	p.broken = pg_columns_broken(&c);
	store_begin(s, &p);
	size_t at = pg_add(&p, SQL_COMPILED_KNOWN, &params);
	pg_add(&p, "commit", NULL);
	int r = store_run(s, &p, err);
	for (int row = 0; !r && row < PQntuples(p.results[at]); row++) {
		int64_t i = pg_int(p.results[at], row, 0);
		if (i >= 0 && (size_t)i < n)
			known[i] = true;
	}
	return r;
}

static int put(struct store *s, const struct compiled_sql *list, size_t n, const bool *known,
	       struct error *err)
{
	auto_columns c;
	struct pg_params params = {0}, prune = {0};
	bool any = false;
	pg_columns_init(&c, 6);
	for (size_t i = 0; i < n; i++) {
		if (known[i])
			continue;
		any = true;
		put_keys(&c, &list[i]);
		pg_array_text(&c.column[2], list[i].relation);
		put_digest(&c.column[3], list[i].sql);
		pg_array_text(&c.column[4], list[i].sql);
		pg_array_time(&c.column[5], list[i].compiled_at);
	}
	if (!any)
		return 0;
	pg_columns_end(&c);
	pg_param_columns(&params, &c, 0, 6);
	pg_param_columns(&prune, &c, 0, 1);
	pg_param_int(&prune, COMPILED_KEPT);
	auto_pipe p = PG_PIPE(&s->control, pg_deadline(s));
	p.broken = pg_columns_broken(&c);
	store_begin(s, &p);
	pg_add(&p, SQL_COMPILED_PUT, &params);
	pg_add(&p, SQL_COMPILED_PRUNE, &prune);
	pg_add(&p, "commit", NULL);
	return store_run(s, &p, err);
}

static int keep(struct store *s, const struct compiled_sql *list, size_t n, struct error *err)
{
	bool known[AT_ONCE] = {false};
	int r = find_known(s, list, n, known, err);
	return r ? r : put(s, list, n, known, err);
}

int pg_remember(struct store *s, const struct compiled_sql *list, size_t n, struct error *err)
{
	int r = s->schema ? store_connect(s, false, err) : 0;
	for (size_t i = 0; s->schema && !r && i < n; i += AT_ONCE) {
		struct error why = {0};
		size_t some = n - i < AT_ONCE ? n - i : AT_ONCE;
		r = keep(s, &list[i], some, &why);
		if (!r)
			continue;
		bool alone = unheld(&why);
		for (size_t k = i; alone && k < i + some; k++) {
			r = keep(s, &list[k], 1, &why);
			if (r && !unheld(&why))
				break;
			r = 0;
		}
		if (r)
			return forgiven(s, r, &why, err);
	}
	return r;
}

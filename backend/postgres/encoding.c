/* SPDX-License-Identifier: Apache-2.0 */
/* Databases of other encodings than UTF8: what we send is converted by the server, which may not know a
 * character. */
#include <string.h>

#include "backend/base/count.h"
#include "backend/postgres/encoding.h"
#include "backend/postgres/sql.h"

static bool is_ascii(const char *text)
{
	while (*text && (unsigned char)*text < 0x80)
		text++;
	return *text == 0;
}

static void put_names(struct strbuf *b, const struct relation *r, bool *plain)
{
	const char *const parts[] = {r->schema, r->identifier};
	for (size_t i = 0; i < 2; i++) {
		pg_array_text(b, parts[i]);
		*plain &= !parts[i] || is_ascii(parts[i]);
	}
}

/* Asks for one model, in a statement of its own. False: there is nothing to ask. */
static bool ask(struct pg_pipe *p, const struct model *m)
{
	auto_strbuf names = STRBUF_INIT;
	bool plain = true;
	put_names(&names, &m->relation, &plain);
	for (size_t i = 0; i < m->n_inputs; i++)
		put_names(&names, &m->inputs[i].relation, &plain);
	if (plain)
		return false;
	pg_array_end(&names);
	p->broken |= strbuf_broken(&names);
	struct pg_params params = {0};
	pg_param_text(&params, names.str);
	pg_add(p, "select $1::text[]", &params);
	pg_add_sync(p);
	return true;
}

int names_held(struct store *s, struct pg_conn *c, struct pg_model *const *models, size_t n, bool *held,
	       int64_t deadline, struct error *err)
{
	const char *encoding = PQparameterStatus(c->pq, "server_encoding");
	auto_free size_t *asked = calloc(n + 1, sizeof *asked);
	if (!asked)
		return error_set(err, ENOMEM, "no memory for %s", count_of(n, "model", "models").text);
	memset(held, true, n * sizeof *held);
	/* Of SQL_ASCII nothing is known, and nothing is converted. */
	if (!encoding || strcmp(encoding, "UTF8") == 0 || strcmp(encoding, "SQL_ASCII") == 0)
		return 0;
	auto_pipe p = PG_PIPE(c, deadline);
	p.tolerant = true;
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (ask(&p, models[i]->model))
			asked[k++] = i;
	int r = pg_run(&p, err);
	for (size_t i = 0; i < k && !r; i++)
		held[asked[i]] = PQresultStatus(p.results[i]) == PGRES_TUPLES_OK;
	return r;
}

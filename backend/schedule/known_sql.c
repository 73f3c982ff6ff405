/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/schedule/known_sql.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/models.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"

/* So much goes to the store at once, because whoever asks for something meanwhile goes first. */
#define ROWS_AT_ONCE  64
#define BYTES_AT_ONCE ((size_t)1 << 20)

struct known_sql_row {
	char *unique_id, *made_of, *sql;
	int64_t compiled_at;
};

static void row_fini(struct known_sql_row *r)
{
	free(r->unique_id);
	free(r->made_of);
	free(r->sql);
}

void known_sql_fini(struct known_sql *k)
{
	for (size_t i = 0; i < k->n; i++)
		row_fini(&k->rows[i]);
	free(k->rows);
	*k = (struct known_sql){0};
}

/* A manifest has no two models of one id. */
static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct known_sql_row *)a)->unique_id,
		      ((const struct known_sql_row *)b)->unique_id);
}

const char *known_sql_find(const struct known_sql *k, const char *unique_id, const char *made_of,
			   int64_t *compiled_at)
{
	const struct known_sql_row key = {.unique_id = (char *)(uintptr_t)unique_id}, *r;
	r = k->n ? bsearch(&key, k->rows, k->n, sizeof *k->rows, by_id) : NULL;
	if (!r || strcmp(r->made_of, made_of) != 0)
		return NULL;
	*compiled_at = r->compiled_at;
	return r->sql;
}

static bool lacks(const struct model *m)
{
	for (const struct need *n = m->needs; n; n = n->next)
		if (n->kind == NEED_COMPILED_SQL)
			return true;
	return false;
}

bool known_sql_lacking(const struct catalog *c)
{
	for (size_t i = 0; i < c->n_models; i++)
		if (lacks(&c->models[i]))
			return true;
	return false;
}

struct asking {
	const struct compiled_sql *asked;
	struct known_sql *found; /* with room for all that was asked for */
	bool broken;		 /* no memory */
};

static void found(void *ctx, size_t i, const char *sql, int64_t compiled_at)
{
	struct asking *a = ctx;
	struct known_sql_row r = {.unique_id = strdup(a->asked[i].unique_id),
				  .made_of = strdup(a->asked[i].made_of),
				  .sql = strdup(sql),
				  .compiled_at = compiled_at};
	if (r.unique_id && r.made_of && r.sql) {
		a->found->rows[a->found->n++] = r;
		return;
	}
	row_fini(&r);
	a->broken = true;
}

int known_sql_ask(struct backend *b, const struct catalog *c, struct known_sql *k, struct error *err)
{
	auto_free struct compiled_sql *asked = calloc(c->n_models + 1, sizeof *asked);
	struct asking a = {.asked = asked, .found = k};
	struct error why = {0};
	size_t n = 0;
	*k = (struct known_sql){.rows = calloc(c->n_models + 1, sizeof *k->rows)};
	for (size_t i = 0; asked && i < c->n_models; i++) {
		const struct model *m = &c->models[i];
		if (lacks(m))
			asked[n++] = (struct compiled_sql){.unique_id = m->unique_id, .made_of = m->made_of};
	}
	log_info(b->config.log, "%s: comes without the SQL of %s: the warehouse is asked", c->path,
		 count_of(n, "model", "models").text);
	int r = asked && k->rows ? store_recall(b->store, asked, n, found, &a, &why) : -ENOMEM;
	if (r == 0 && a.broken)
		r = -ENOMEM;
	if (r == -ENOMEM)
		error_set(&why, ENOMEM, "no memory");
	if (r == 0 && k->n)
		qsort(k->rows, k->n, sizeof *k->rows, by_id);
	if (r == 0)
		return 0;
	known_sql_fini(k);
	if (warehouse_away(r)) {
		if (err)
			*err = why;
		return r;
	}
	log_warning(b->config.log, "the SQL that the manifest comes without cannot be looked up: %s",
		    why.text);
	return 0;
}

bool known_sql_wait(struct backend *b, struct catalog *c, struct known_sql *k)
{
	LOCKED(&b->lock);
	b->lacking = c;
	b->woken = true;
	control_wake(b);
	while (b->lacking && !b->control_done)
		pthread_cond_wait(&b->recalled, &b->lock);
	bool answered = !b->lacking;
	b->lacking = NULL;
	*k = b->known;
	b->known = (struct known_sql){0};
	return answered;
}

int known_sql_answer(struct backend *b, struct error *err)
{
	struct known_sql known;
	struct catalog *c;
	{
		LOCKED(&b->lock);
		c = b->lacking;
		if (!c)
			return 0;
		/* Whoever waits may leave at the end of the mount. */
		catalog_hold(c);
	}
	int r = known_sql_ask(b, c, &known, err);
	{
		LOCKED(&b->lock);
		if (r == 0 && b->lacking == c) {
			b->known = known;
			known = (struct known_sql){0};
			b->lacking = NULL;
			pthread_cond_broadcast(&b->recalled);
		}
	}
	known_sql_fini(&known);
	catalog_free(c);
	return r;
}

/* From the model at `from` on: how many models were passed, and what of them goes to the store. */
static size_t collect(const struct catalog *c, size_t from, struct compiled_sql *list, size_t *n)
{
	size_t bytes = 0, i = from;
	for (*n = 0; i < c->n_models && *n < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE; i++) {
		const struct model *m = &c->models[i];
		if (!m->compiled)
			continue;
		bytes += strlen(m->compiled);
		list[(*n)++] =
			(struct compiled_sql){.unique_id = m->unique_id,
					      .made_of = m->made_of,
					      .relation = m->relation.rendered ? m->relation.rendered : "",
					      .sql = m->compiled,
					      .compiled_at = m->compiled_at};
	}
	return i - from;
}

int known_sql_remember(struct backend *b, struct error *err)
{
	struct compiled_sql list[ROWS_AT_ONCE];
	struct held_catalog *held;
	struct error why = {0};
	size_t n;
	if (!b->remembering)
		return 0;
	{
		LOCKED(&b->lock);
		held = models_hold_current(b->models);
	}
	const struct catalog *c = held_catalog(held);
	size_t passed = collect(c, b->remembered, list, &n);
	int r = n ? store_remember(b->store, list, n, &why) : 0;
	bool over = b->remembered + passed >= c->n_models;
	catalog_drop(held);
	if (r < 0 && warehouse_away(r)) {
		if (err)
			*err = why;
		return r;
	}
	if (r < 0)
		log_warning(b->config.log, "the models' SQL cannot be remembered: %s", why.text);
	b->remembered += passed;
	b->remembering = r == 0 && !over;
	LOCKED(&b->lock);
	b->woken |= b->remembering;
	return 0;
}

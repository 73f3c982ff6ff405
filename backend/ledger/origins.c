/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interned strings of a ledger: who asked, and with which code a batch was built.
 * A million batches built by one request share one requester.
 */
#include "backend/ledger/private.h"

#include <stdio.h>

#include "backend/base/cleanup.h"

/* Requests that are remembered after their last batch: a report that comes late still names who asked. */
#define KNOWN_MAX 65536

static struct requester_entry *requester_new(uint32_t uid, const char *command, const char *reason, char *key)
{
	struct requester_entry *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	snprintf(e->command, sizeof e->command, "%s", command);
	e->reason = reason ? strdup(reason) : NULL;
	if (reason && !e->reason) {
		free(e);
		return NULL;
	}
	e->by = (struct requester){.uid = uid, .command = e->command, .reason = e->reason};
	e->key = key;
	return e;
}

const struct requester *requester_intern(struct ledger *l, uint32_t uid, const char *command,
					 const char *reason)
{
	char *key = NULL;
	/* '+' tells an empty reason from none. */
	if (asprintf(&key, "%u\n%s\n%s%s", uid, command, reason ? "+" : "", reason ? reason : "") < 0)
		return NULL;
	struct requester_entry *e;
	HASH_FIND_STR(l->requesters, key, e);
	if (e) {
		free(key);
		return &e->by;
	}
	e = requester_new(uid, command, reason, key);
	if (e)
		HASH_ADD_KEYPTR(hh, l->requesters, e->key, strlen(e->key), e);
	if (!e || !e->hh.tbl) {
		if (e)
			free(e->reason);
		free(e);
		free(key);
		return NULL;
	}
	return &e->by;
}

static const char *code_intern(struct ledger *l, const char *code)
{
	struct code_entry *e;
	HASH_FIND_STR(l->codes, code, e);
	if (e)
		return e->code;
	size_t n = strlen(code);
	e = calloc(1, sizeof *e + n + 1);
	if (!e)
		return "";
	memcpy(e->code, code, n);
	HASH_ADD_KEYPTR(hh, l->codes, e->code, n, e);
	if (!e->hh.tbl) {
		free(e);
		return "";
	}
	return e->code;
}

uint16_t origin_intern(struct ledger *l, struct model_state *m, const struct requester *by, const char *code)
{
	const char *shared = code_intern(l, code);
	for (uint16_t i = 0; i < m->n_origins; i++)
		if (m->origins[i].by == by && m->origins[i].code == shared)
			return i;
	/* A full table or no memory: who asked is then not known, the batch itself is. */
	if (m->n_origins == UINT16_MAX)
		return 0;
	if ((m->n_origins & (m->n_origins - 1)) == 0) {
		size_t size = m->n_origins ? 2u * m->n_origins : 2;
		struct origin *origins = realloc(m->origins, size * sizeof *origins);
		if (!origins)
			return 0;
		m->origins = origins;
	}
	if (m->n_origins == 0)
		m->origins[m->n_origins++] = (struct origin){.by = NULL, .code = ""};
	m->origins[m->n_origins] = (struct origin){.by = by, .code = shared};
	return m->n_origins++;
}

struct known_request *known_find(const struct ledger *l, int64_t id)
{
	struct known_request *k = NULL;
	if (id)
		HASH_FIND(hh, l->known, &id, sizeof id, k);
	return k;
}

static void known_trim(struct ledger *l)
{
	struct known_request *k, *next;
	if (HASH_COUNT(l->known) < KNOWN_MAX)
		return;
	HASH_ITER(hh, l->known, k, next)
	{
		if (HASH_COUNT(l->known) < KNOWN_MAX / 2)
			return;
		if (!k->open) {
			HASH_DELETE(hh, l->known, k);
			free(k);
		}
	}
}

struct known_request *known_make(struct ledger *l, const struct store_request_row *r)
{
	const struct requester *by = requester_intern(l, r->uid, r->command ? r->command : "", r->reason);
	struct known_request *k = known_find(l, r->id);
	if (k) {
		k->by = by;
		return k;
	}
	known_trim(l);
	k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	*k = (struct known_request){
		.id = r->id, .model = r->model, .batches = r->batches, .at = r->at, .by = by};
	k->foreign = r->code && strcmp(r->code, model_state_of(l, r->model)->code) != 0;
	HASH_ADD(hh, l->known, id, sizeof k->id, k);
	if (!k->hh.tbl) {
		free(k);
		return NULL;
	}
	return k;
}

void origins_free(struct ledger *l)
{
	struct requester_entry *r, *next_r;
	HASH_ITER(hh, l->requesters, r, next_r)
	{
		HASH_DELETE(hh, l->requesters, r);
		free(r->reason);
		free(r->key);
		free(r);
	}
	struct code_entry *c, *next_c;
	HASH_ITER(hh, l->codes, c, next_c)
	{
		HASH_DELETE(hh, l->codes, c);
		free(c);
	}
	struct known_request *k, *next_k;
	HASH_ITER(hh, l->known, k, next_k)
	{
		HASH_DELETE(hh, l->known, k);
		free(k);
	}
}

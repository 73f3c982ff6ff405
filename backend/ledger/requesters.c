/* SPDX-License-Identifier: Apache-2.0 */
/* Interned strings of a ledger, counted: who asked, and with which code a batch was built. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/ledger/requesters.h"
#include "backend/ledger/state.h"

static struct requester_entry *entry_of(const struct requester *by)
{
	return (struct requester_entry *)((char *)(uintptr_t)by - offsetof(struct requester_entry, by));
}

static void entry_free(struct requester_entry *e)
{
	free(e->reason);
	free(e->key);
	free(e);
}

static struct requester_entry *requester_new(uint32_t uid, const char *command, const char *reason, char *key)
{
	struct requester_entry *e = calloc(1, sizeof *e);
	if (!e) {
		free(key);
		return NULL;
	}
	snprintf(e->command, sizeof e->command, "%s", command);
	e->reason = reason ? strdup(reason) : NULL;
	e->by = (struct requester){.uid = uid, .command = e->command, .reason = e->reason};
	e->key = key;
	e->refs = 1;
	if (!reason || e->reason)
		return e;
	entry_free(e);
	return NULL;
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
		return requester_ref(&e->by);
	}
	e = requester_new(uid, command, reason, key);
	if (!e)
		return NULL;
	HASH_ADD_KEYPTR(hh, l->requesters, e->key, strlen(e->key), e);
	if (hash_has(e->hh))
		return &e->by;
	entry_free(e);
	return NULL;
}

const struct requester *requester_ref(const struct requester *by)
{
	if (by)
		entry_of(by)->refs++;
	return by;
}

void requester_unref(struct ledger *l, const struct requester *by)
{
	if (!by || --entry_of(by)->refs > 0)
		return;
	HASH_DELETE(hh, l->requesters, entry_of(by));
	entry_free(entry_of(by));
}

void requester_set(struct ledger *l, const struct requester **where, const struct requester *by)
{
	const struct requester *before = *where;
	*where = by;
	requester_unref(l, before);
}

struct code_entry *code_intern(struct ledger *l, const char *code)
{
	struct code_entry *e = l->last_code;
	if (!e || strcmp(e->code, code) != 0)
		HASH_FIND_STR(l->codes, code, e);
	if (!e) {
		size_t n = strlen(code);
		e = calloc(1, sizeof *e + n + 1);
		if (!e)
			return NULL;
		memcpy(e->code, code, n);
		HASH_ADD_KEYPTR(hh, l->codes, e->code, n, e);
		if (!hash_has(e->hh)) {
			free(e);
			return NULL;
		}
	}
	e->refs++;
	l->last_code = e;
	return e;
}

void code_unref(struct ledger *l, struct code_entry *code)
{
	if (--code->refs > 0)
		return;
	if (l->last_code == code)
		l->last_code = NULL;
	HASH_DELETE(hh, l->codes, code);
	free(code);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/manifest/jinja.h"

/* Reads the arguments behind the '('; call->readable says whether all of them were literals. */
static void read_arguments(const char **p, const char *end, struct jinja_call *call)
{
	unsigned depth = 1, positional = 0;
	bool readable = true;
	struct jinja_token t;
	while (depth && (t = jinja_lex(p, end)).kind != JINJA_END) {
		if (jinja_is(&t, "(")) {
			depth++;
			readable = false;
		} else if (jinja_is(&t, ")")) {
			depth--;
		} else if (t.kind == JINJA_STRING && positional < 2) {
			*(positional++ ? &call->second : &call->first) = t;
		} else if (!call->source && (jinja_is(&t, "v") || jinja_is(&t, "version"))) {
			struct jinja_token equals = jinja_lex(p, end);
			call->version = jinja_lex(p, end);
			if (!jinja_is(&equals, "=") ||
			    (call->version.kind != JINJA_NUMBER && call->version.kind != JINJA_STRING))
				readable = false;
		} else if (!jinja_is(&t, ",")) {
			readable = false;
		}
	}
	call->readable = readable && depth == 0 && positional > (call->source ? 1 : 0);
}

/* The value of true and false, as Jinja and Python write them; -1: it is another token. */
static int truth(const struct jinja_token *t)
{
	if (jinja_is(t, "true") || jinja_is(t, "True"))
		return 1;
	return jinja_is(t, "false") || jinja_is(t, "False") ? 0 : -1;
}

/* Reads the arguments of .include(), behind its '('. False: they cannot be read. */
static bool read_include(const char **p, const char *end, unsigned *parts)
{
	static const char *const names[] = {"database", "schema", "identifier"};
	unsigned next = 0;
	struct jinja_token t;
	while ((t = jinja_lex(p, end)).kind != JINJA_END && !jinja_is(&t, ")")) {
		unsigned part = next++;
		for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
			if (!jinja_is(&t, names[i]))
				continue;
			part = i;
			t = jinja_lex(p, end);
			if (!jinja_is(&t, "="))
				return false;
			t = jinja_lex(p, end);
			break;
		}
		int value = truth(&t);
		if (value < 0 || part > 2)
			return false;
		*parts = value ? *parts | 1u << part : *parts & ~(1u << part);
		const char *ahead = *p;
		t = jinja_lex(&ahead, end);
		if (jinja_is(&t, ","))
			*p = ahead;
		else if (!jinja_is(&t, ")"))
			return false;
	}
	return jinja_is(&t, ")");
}

/* What the attribute of this name makes of the relation, whether or not it is called. */
static enum jinja_chain_kind attribute(const struct jinja_token *name)
{
	static const struct {
		const char *name;
		enum jinja_chain_kind kind;
	} known[] = {
		{"include", CHAIN_RELATION}, {"render", CHAIN_RENDER},	       {"database", CHAIN_DATABASE},
		{"schema", CHAIN_SCHEMA},    {"identifier", CHAIN_IDENTIFIER}, {"name", CHAIN_IDENTIFIER},
		{"table", CHAIN_IDENTIFIER},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (jinja_is(name, known[i].name))
			return known[i].kind;
	}
	return CHAIN_OTHER;
}

struct jinja_chain jinja_chain(const char **p, const char *end)
{
	return jinja_chain_of((struct jinja_chain){.kind = CHAIN_RELATION, .parts = PART_ALL}, p, end);
}

struct jinja_chain jinja_chain_of(struct jinja_chain chain, const char **p, const char *end)
{
	for (;;) {
		const char *ahead = *p;
		struct jinja_token t = jinja_lex(&ahead, end);
		if (!jinja_is(&t, "."))
			return chain;
		/* Nothing that is known here has attributes of its own, but for what .include() yields. */
		bool first = chain.kind == CHAIN_RELATION;
		t = jinja_lex(&ahead, end);
		chain.kind = first ? attribute(&t) : CHAIN_OTHER;
		*p = ahead;
		t = jinja_lex(&ahead, end);
		bool called = jinja_is(&t, "(");
		if (called)
			*p = ahead;
		if (called != (chain.kind == CHAIN_RELATION || chain.kind == CHAIN_RENDER))
			chain.kind = CHAIN_OTHER;
		if (chain.kind == CHAIN_RELATION && !read_include(p, end, &chain.parts))
			chain.kind = CHAIN_OTHER;
		if (chain.kind == CHAIN_RENDER) {
			t = jinja_lex(p, end);
			if (!jinja_is(&t, ")"))
				chain.kind = CHAIN_OTHER;
		}
		if (chain.kind == CHAIN_OTHER)
			return chain;
	}
}

bool jinja_find_call(const char **p, const char *end, struct jinja_call *call, bool *pure)
{
	struct jinja_token t, before = {.kind = JINJA_END};
	bool first = true;
	while ((t = jinja_lex(p, end)).kind != JINJA_END) {
		const char *ahead = *p;
		struct jinja_token open = jinja_lex(&ahead, end);
		bool name = jinja_is(&t, "ref") || jinja_is(&t, "source");
		if (name && jinja_is(&open, "(") && !(jinja_is(&before, ".") && !first)) {
			*call = (struct jinja_call){.source = jinja_is(&t, "source")};
			*p = ahead;
			read_arguments(p, end, call);
			call->chain = jinja_chain(p, end);
			ahead = *p;
			*pure = first && jinja_lex(&ahead, end).kind == JINJA_END;
			return true;
		}
		/*
		 * builtins.ref() is dbt's ref(); x.ref() of any other x is a function of the project's own.
		 */
		if (!jinja_is(&t, ".") || !jinja_is(&before, "builtins"))
			before = t;
		first = false;
	}
	return false;
}

bool jinja_find_change(const char **p, const char *end, enum jinja_change *change)
{
	static const struct {
		const char *name;
		enum jinja_change change;
	} known[] = {{"render", CHANGE_RENDER},
		     {"include", CHANGE_INCLUDE},
		     {"quote", CHANGE_OTHER},
		     {"incorporate", CHANGE_OTHER},
		     {"replace_path", CHANGE_OTHER}};
	struct jinja_token head = {.kind = JINJA_END}, dot = head, name = head, t;
	while ((t = jinja_lex(p, end)).kind != JINJA_END) {
		/* adapter.quote() is about names of columns. */
		bool call = jinja_is(&t, "(") && jinja_is(&dot, ".") && !jinja_is(&head, "this") &&
			    !jinja_is(&head, "adapter");
		for (size_t i = 0; call && i < sizeof(known) / sizeof(*known); i++) {
			if (jinja_is(&name, known[i].name)) {
				*change = known[i].change;
				return true;
			}
		}
		head = dot;
		dot = name;
		name = t;
	}
	return false;
}

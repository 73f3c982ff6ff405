/* SPDX-License-Identifier: Apache-2.0 */
/* What SQL makes use of that was fixed when it was compiled, though dbt would ask anew for each batch. */
#include <string.h>

#include "backend/manifest/jinja.h"

/* The last tokens of a tag, the newest first. */
struct tail {
	struct jinja_token t[4];
};

static bool among(const struct jinja_token *t, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (jinja_is(t, words[i]))
			return true;
	}
	return false;
}
#define AMONG(t, words) among(t, words, sizeof(words) / sizeof(*(words)))

bool jinja_is_silent(const struct jinja_part *part)
{
	static const char *const silent[] = {"config", "log", "print"};
	const char *p = part->text;
	struct jinja_token word = jinja_lex(&p, part->end);
	if (jinja_is(&word, "do"))
		word = jinja_lex(&p, part->end);
	struct jinja_token open = jinja_lex(&p, part->end);
	return AMONG(&word, silent) && jinja_is(&open, "(");
}

static bool names_batch(const struct jinja_token *t)
{
	return (t->kind == JINJA_NAME || t->kind == JINJA_STRING) && t->len == 5 &&
	       memcmp(t->text, "batch", 5) == 0;
}

/* The forms are model.batch, model['batch'] and model.get('batch'). */
static bool is_batch(const struct tail *k)
{
	const struct jinja_token *t = k->t;
	if (!names_batch(&t[0]))
		return false;
	if (jinja_is(&t[2], "model") && (jinja_is(&t[1], ".") || jinja_is(&t[1], "[")))
		return true;
	return t[0].kind == JINJA_STRING && jinja_is(&t[2], "get") && jinja_is(&t[1], "(");
}

static bool is_incremental(const struct tail *k)
{
	static const char *const asks[] = {"is_incremental", "should_full_refresh"};
	return (jinja_is(&k->t[0], "(") && AMONG(&k->t[1], asks)) ||
	       (jinja_is(&k->t[0], "FULL_REFRESH") && jinja_is(&k->t[1], "."));
}

static bool asks_warehouse(const struct tail *k)
{
	static const char *const asks[] = {"run_query",
					   "statement",
					   "load_result",
					   "load_relation",
					   "load_cached_relation",
					   "get_relation",
					   "list_relations",
					   "execute",
					   "get_missing_columns",
					   "check_schema_exists",
					   "get_relations_by_pattern"};
	static const char *const of_this[] = {"get_columns_in_relation", "get_column_schema_from_query"};
	const struct jinja_token *t = k->t;
	if (jinja_is(&t[0], "(") && AMONG(&t[1], asks))
		return !jinja_is(&t[1], "execute") || jinja_is(&t[2], ".");
	return jinja_is(&t[0], "this") && jinja_is(&t[1], "(") && AMONG(&t[2], of_this);
}

static bool asks_run(const struct tail *k, const struct jinja_token *next)
{
	static const char *const names[] = {"run_started_at", "invocation_id", "invocation_args_dict",
					    "thread_id"};
	static const char *const flags[] = {"EVENT_TIME_START",	  "EVENT_TIME_END", "WHICH", "EMPTY",
					    "INVOCATION_COMMAND", "SAMPLE"};
	static const char *const clocks[] = {"now", "utcnow", "today"};
	static const char *const times[] = {"datetime", "date"};
	const struct jinja_token *t = k->t;
	/* A name before a single '=' is an argument's. */
	if (AMONG(&t[0], names))
		return !jinja_is(&t[1], ".") && !(jinja_is(next, "=") && next->text[1] != '=');
	if (AMONG(&t[0], flags))
		return jinja_is(&t[1], ".") && jinja_is(&t[2], "flags");
	return jinja_is(&t[0], "(") && AMONG(&t[1], clocks) && jinja_is(&t[2], ".") && AMONG(&t[3], times);
}

/* The name that the chain of names and dots with `at` in it begins with. */
static const char *first_word(const struct jinja_part *part, const char *at)
{
	const char *p = part->text, *from = at;
	struct jinja_token before = {.kind = JINJA_PUNCT}, t;
	while ((t = jinja_lex(&p, part->end)).kind != JINJA_END && t.text <= at) {
		if (!jinja_is(&t, ".") && !jinja_is(&before, "."))
			from = t.text;
		before = t;
	}
	return from;
}

/* Where the parenthesis or bracket closes in which p stands. */
static const char *close_of(const char *p, const char *end)
{
	unsigned depth = 1;
	struct jinja_token t;
	while (depth && (t = jinja_lex(&p, end)).kind != JINJA_END) {
		if (jinja_is(&t, "(") || jinja_is(&t, "["))
			depth++;
		else if (jinja_is(&t, ")") || jinja_is(&t, "]"))
			depth--;
	}
	return p;
}

/* What a person is to look for: the names with what is in their parentheses. */
static struct jinja_words words_of(const struct jinja_part *part, const struct tail *k, const char *behind)
{
	const struct jinja_token *name = &k->t[0];
	if (jinja_is(name, "("))
		name = &k->t[1];
	else if (name->kind == JINJA_STRING || jinja_is(name, "this"))
		name = &k->t[2];
	const char *from = first_word(part, name->text);
	const char *to = name == &k->t[0] ? behind : close_of(behind, part->end);
	return (struct jinja_words){from, (size_t)(to - from)};
}

static void uses_in(const struct jinja_part *part, struct jinja_words uses[JINJA_USES])
{
	struct tail k = {0};
	const char *p = part->text;
	struct jinja_token t;
	while ((t = jinja_lex(&p, part->end)).kind != JINJA_END) {
		const char *ahead = p;
		struct jinja_token next = jinja_lex(&ahead, part->end);
		memmove(&k.t[1], &k.t[0], sizeof(k.t) - sizeof(k.t[0]));
		k.t[0] = t;
		const bool found[JINJA_USES] = {
			[USE_BATCH] = is_batch(&k),
			[USE_INCREMENTAL] = is_incremental(&k),
			[USE_WAREHOUSE] = asks_warehouse(&k),
			[USE_RUN] = asks_run(&k, &next),
		};
		for (int i = 0; i < JINJA_USES; i++) {
			if (found[i] && !uses[i].at)
				uses[i] = words_of(part, &k, p);
		}
	}
}

static bool holds_any(const char *text, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strstr(text, words[i]))
			return true;
	}
	return false;
}
#define HOLDS_ANY(text, words) holds_any(text, words, sizeof(words) / sizeof(*(words)))

bool jinja_names_relations(const char *text)
{
	static const char *const words[] = {"ref",   "source",	    "render",	   "include",
					    "quote", "incorporate", "replace_path"};
	return HOLDS_ANY(text, words);
}

void jinja_uses(const char *text, struct jinja_words uses[JINJA_USES])
{
	static const char internal[] = "__dbt_internal_microbatch";
	/* What every use has one of. Most macros hold none, and models share them: this is all that they
	 * cost. */
	static const char *const words[] = {"batch",
					    "incremental",
					    "FULL_REFRESH",
					    "full_refresh",
					    "_query",
					    "statement",
					    "load_",
					    "get_",
					    "list_relations",
					    "execute",
					    "check_schema_exists",
					    "run_started_at",
					    "invocation",
					    "thread_id",
					    "flags",
					    "now",
					    "today"};
	if (!HOLDS_ANY(text, words))
		return;
	struct jinja j = {.p = text, .end = text + strlen(text)};
	struct jinja_part part;
	while (jinja_next(&j, &part)) {
		if (part.kind != JINJA_TEXT && !jinja_is_silent(&part))
			uses_in(&part, uses);
	}
	const char *at = strstr(text, internal);
	if (at && !uses[USE_BATCH].at)
		uses[USE_BATCH] = (struct jinja_words){at, sizeof(internal) - 1};
}

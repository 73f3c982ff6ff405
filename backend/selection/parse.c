/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "backend/selection/private.h"

#define OPTION_EXCLUDE "--exclude"
#define DEPTH_MOST     1000000 /* more steps than the longest way through any graph */

/* In the order of enum method. */
static const char *const method_names[] = {
	"fqn",	   "tag",      "group",	 "access",	   "source",	  "path",
	"file",	   "package",  "config", "test_name",	   "test_type",	  "resource_type",
	"version", "exposure", "metric", "semantic_model", "saved_query", "unit_test",
};
#define METHODS (sizeof(method_names) / sizeof(*method_names))

static const char *const resource_types[] = {
	"model",	  "analysis",  "test",		"snapshot", "operation",
	"seed",		  "rpc",       "sql_operation", "doc",	    "source",
	"macro",	  "exposure",  "metric",	"group",    "saved_query",
	"semantic_model", "unit_test", "fixture",	"function",
};

struct span {
	const char *at, *end;
};

static bool span_is(const struct span *s, const char *text)
{
	size_t len = (size_t)(s->end - s->at);
	return strlen(text) == len && memcmp(s->at, text, len) == 0;
}

static int wrong(struct error *err, const struct span *raw, const char *why)
{
	return error_set(err, EINVAL, "'%.*s' is no selection: %s", (int)(raw->end - raw->at), raw->at, why);
}

/* The number of steps that the digits say; without digits, all. */
static int depth(const char *digits, const char *end)
{
	int n = 0;
	for (const char *p = digits; p < end; p++)
		n = n < DEPTH_MOST ? n * 10 + (*p - '0') : DEPTH_MOST;
	return end > digits ? n : DEPTH_ALL;
}

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && isdigit((unsigned char)*p))
		p++;
	return p;
}

/* Takes the `@` or the `2+` at the front; *s is what is left. */
static void take_prefix(struct span *s, struct criterion *c)
{
	if (s->at < s->end && *s->at == '@') {
		c->childrens_parents = true;
		s->at++;
	}
	const char *plus = skip_digits(s->at, s->end);
	if (plus < s->end && *plus == '+') {
		c->parents = depth(s->at, plus);
		s->at = plus + 1;
	}
}

/* Takes the `+2` at the end; *s is what is left. True: there is one, be it `+0`. */
static bool take_suffix(struct span *s, struct criterion *c)
{
	const char *p = s->end;
	while (p > s->at && isdigit((unsigned char)p[-1]))
		p--;
	if (p == s->at || p[-1] != '+')
		return false;
	c->children = depth(p, s->end);
	s->end = p - 1;
	return true;
}

/* Takes the method before the colon. False: there is no colon. */
static bool split_method(struct span *s, struct span *method)
{
	const char *p = s->at;
	while (p < s->end && (isalnum((unsigned char)*p) || strchr("._", *p) || (unsigned char)*p >= 0x80))
		p++;
	if (p == s->at || p == s->end || *p != ':')
		return false;
	*method = (struct span){s->at, p};
	s->at = p + 1;
	return true;
}

static bool ends_in(const struct span *s, const char *suffix)
{
	size_t len = strlen(suffix);
	return (size_t)(s->end - s->at) >= len && strncasecmp(s->end - len, suffix, len) == 0;
}

static enum method default_method(const struct span *value)
{
	if (memchr(value->at, '/', (size_t)(value->end - value->at)))
		return METHOD_PATH;
	if (ends_in(value, ".sql") || ends_in(value, ".py") || ends_in(value, ".csv"))
		return METHOD_FILE;
	return METHOD_FQN;
}

static int find_method(const struct span *raw, const struct span *name, enum method *out, struct error *err)
{
	static const char *const elsewhere[] = {"state", "result", "source_status"};
	for (size_t i = 0; i < METHODS; i++) {
		if (span_is(name, method_names[i])) {
			*out = (enum method)i;
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++) {
		if (span_is(name, elsewhere[i]))
			return wrong(err, raw,
				     "this method compares with an earlier run (dbt's --state), and only the "
				     "manifest is read here");
	}
	if (span_is(name, "selector"))
		return wrong(err, raw, "selectors.yml is not read here; write out what the selector selects");
	return error_set(err, EINVAL,
			 "'%.*s' is no selection: '%.*s' is not one of dbt's methods (tag, path, package, "
			 "config.KEY, source, fqn, file, ...)",
			 (int)(raw->end - raw->at), raw->at, (int)(name->end - name->at), name->at);
}

static size_t count_dots(const char *text)
{
	size_t n = 0;
	for (; *text; text++)
		n += *text == '.';
	return n;
}

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(text, list[i]) == 0)
			return true;
	}
	return false;
}

/* Why dbt refuses the value of a method, whatever the graph; NULL: dbt does not. */
static const char *bad_value(const struct criterion *c)
{
	static const char *const ages[] = {"latest", "prerelease", "old", "none"};
	switch (c->method) {
	case METHOD_SOURCE:
		return count_dots(c->value) > 2 ? "a source is SOURCE, SOURCE.TABLE or PACKAGE.SOURCE.TABLE"
						: NULL;
	case METHOD_EXPOSURE:
	case METHOD_METRIC:
	case METHOD_SEMANTIC_MODEL:
	case METHOD_SAVED_QUERY:
	case METHOD_UNIT_TEST:
		return count_dots(c->value) > 1 ? "it is NAME or PACKAGE.NAME" : NULL;
	case METHOD_RESOURCE_TYPE:
		return is_one_of(c->value, resource_types, sizeof(resource_types) / sizeof(*resource_types))
			       ? NULL
			       : "dbt has no such resource type (model, source, seed, snapshot, ...)";
	case METHOD_VERSION:
		return is_one_of(c->value, ages, 4) ? NULL : "it is latest, prerelease, old or none";
	case METHOD_TEST_TYPE:
		return strcmp(c->value, "generic") == 0 || strcmp(c->value, "schema") == 0 ||
				       strstr("data", c->value) || strstr("singular", c->value) ||
				       strstr("unit", c->value)
			       ? NULL
			       : "it is generic, singular, unit or data";
	case METHOD_PATH:
		return c->value[0] == '/' || !c->value[strspn(c->value, "/.")]
			       ? "a path starts at the project's directory, as in path:models/staging"
			       : NULL;
	default:
		return NULL;
	}
}

static int parse_criterion(const struct span *raw, struct criterion *c, struct error *err)
{
	struct span rest = *raw, method = {0};
	take_prefix(&rest, c);
	bool named = split_method(&rest, &method);
	bool suffix = take_suffix(&rest, c);
	if (c->childrens_parents && suffix)
		return wrong(err, raw, "'@' at the front and '+' at the end do not go together");
	if (memchr(raw->at, '\n', (size_t)(raw->end - raw->at)))
		return wrong(err, raw, "there is a line break in it");
	const char *arguments = "";
	size_t len = 0;
	if (named) {
		const char *dot = memchr(method.at, '.', (size_t)(method.end - method.at));
		struct span name = {method.at, dot ? dot : method.end};
		int r = find_method(raw, &name, &c->method, err);
		if (r)
			return r;
		arguments = dot ? dot + 1 : method.end;
		len = (size_t)(method.end - arguments);
	} else {
		c->method = default_method(&rest);
	}
	c->arguments = strndup(arguments, len);
	c->value = strndup(rest.at, (size_t)(rest.end - rest.at));
	if (!c->arguments || !c->value)
		return error_set(err, ENOMEM, "no memory for a selection");
	const char *why = bad_value(c);
	return why ? wrong(err, raw, why) : 0;
}

/* Takes a word such as `a,b,c`, whose criteria are intersected. */
static int parse_word(const struct span *word, bool excluded, struct expression *e, struct error *err)
{
	struct span part = {.at = word->at};
	for (;; part.at = part.end + 1) {
		part.end = memchr(part.at, ',', (size_t)(word->end - part.at));
		if (!part.end)
			part.end = word->end;
		struct criterion *c = &e->criteria[e->n++];
		c->intersects = part.at > word->at;
		c->excluded = excluded;
		int r = parse_criterion(&part, c, err);
		if (r || part.end == word->end)
			return r;
	}
}

static int parse_words(const char *text, struct expression *e, struct error *err)
{
	bool excluded = false, awaited = false;
	struct span word = {.end = text};
	for (;; word.end++) {
		word.at = word.end;
		word.end = strchrnul(word.at, ' ');
		if (span_is(&word, OPTION_EXCLUDE)) {
			if (awaited)
				break;
			excluded = awaited = true;
		} else if (word.end - word.at >= 2 && memcmp(word.at, "--", 2) == 0) {
			return wrong(err, &word, "the only option that may stand here is " OPTION_EXCLUDE);
		} else if (word.end > word.at) {
			int r = parse_word(&word, excluded, e, err);
			if (r)
				return r;
			e->included = e->included || !excluded;
			awaited = false;
		}
		if (!*word.end)
			break;
	}
	e->included = e->included || !excluded;
	return awaited ? error_set(err, EINVAL, "'%s' is no selection: nothing follows " OPTION_EXCLUDE, text)
		       : 0;
}

int parse_expression(const char *text, struct expression *out, struct error *err)
{
	size_t most = 1;
	for (const char *p = text; *p; p++)
		most += *p == ' ' || *p == ',';
	*out = (struct expression){.criteria = calloc(most, sizeof(*out->criteria))};
	if (!out->criteria)
		return error_set(err, ENOMEM, "no memory for a selection");
	return parse_words(text, out, err);
}

void expression_fini(struct expression *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->criteria[i].arguments);
		free(e->criteria[i].value);
	}
	free(e->criteria);
	*e = (struct expression){0};
}

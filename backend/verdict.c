/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/verdict.h"

#include <string.h>

static bool supported(const struct need *n, uint64_t supports)
{
	return supports & SUPPORTS(n->kind);
}

bool verdict_builds(const struct model *m, uint64_t supports)
{
	for (const struct need *n = m->needs; n; n = n->next)
		if (!supported(n, supports))
			return false;
	return !m->wrong;
}

bool verdict_looks(const struct model *m)
{
	return m->relation.identifier && *m->relation.identifier && m->event_time && m->begin != INT64_MAX;
}

static void config_says(const struct need *n, const char *what, struct strbuf *out)
{
	strbuf_printf(out, "Its config has %s %.200s, and %s; take it out, or run the model with dbt",
		      n->where, n->text, what);
}

static void about_hooks(const struct need *n, struct strbuf *out)
{
	if (n->kind == NEED_HOOK)
		strbuf_printf(out, "It has a %s, and hooks are not run here: \"%.200s\"", n->where, n->text);
	else
		strbuf_printf(out, "Its %s holds Jinja, which only dbt can render: \"%.200s\"", n->where,
			      n->text);
	strbuf_puts(out, "; run the model with dbt, or take the hook out");
}

static void about_config(const struct need *n, struct strbuf *out)
{
	static const char whole_window[] = "a batch replaces its whole window here, whatever the predicates";
	switch (n->kind) {
	case NEED_GRANTS:
		config_says(n, "grants are not given here", out);
		break;
	case NEED_SQL_HEADER:
		config_says(n, "a sql_header is not sent here", out);
		break;
	case NEED_PREDICATES:
		config_says(n, whole_window, out);
		break;
	default:
		config_says(n, "a batch replaces whole rows here", out);
	}
}

/* What the SQL asks while dbt renders it. The answer in the compiled SQL is that of another time. */
static void about_jinja(const struct need *n, struct strbuf *out)
{
	strbuf_printf(out, "\"%s\" in %s ", n->words, n->where);
	switch (n->kind) {
	case NEED_BATCH_VALUE:
		strbuf_puts(out,
			    "has a value only inside of dbt's own run of a batch; run the model with dbt, or "
			    "let event_time of the inputs do the filtering");
		break;
	case NEED_IS_INCREMENTAL:
		strbuf_puts(out, "was answered when the SQL was compiled, and dbt asks it for each batch; a "
				 "microbatch model does not need it: take it out, or run the model with dbt");
		break;
	case NEED_WAREHOUSE_LOOK:
		strbuf_puts(
			out,
			"looks into the warehouse, which dbt does for each batch, and the compiled SQL "
			"holds what was found when it was compiled; take it out, or run the model with dbt");
		break;
	default:
		strbuf_puts(out,
			    "has another value in each run of dbt, and the compiled SQL holds that of `dbt "
			    "compile`; take it out, or run the model with dbt");
	}
}

/* One sentence, without its full stop: what the model needs, why that is not to be had, what to do. */
static void about(const struct need *n, struct strbuf *out)
{
	switch (n->kind) {
	case NEED_COMPILED_SQL:
		strbuf_printf(
			out,
			"The manifest has no compiled SQL of this model (`dbt run` and `dbt build` write it "
			"without); run `dbt compile --select %s`, or `dbt compile` for all models",
			n->text);
		break;
	case NEED_CLEAR_WINDOWS:
		strbuf_printf(
			out,
			"It cannot be told which of the places that read %s dbt leaves without a filter, because "
			"of \"%s\" in %s; write each as {{ ref() }} or {{ ref().render() }} of its own, outside "
			"of loops, conditions, variables and macros, and run `dbt compile` again",
			n->text, n->words, n->where);
		break;
	case NEED_LANGUAGE:
		strbuf_printf(out, "It is a %s model, and only SQL models can be built here; run it with dbt",
			      n->text);
		break;
	case NEED_HOOK:
	case NEED_HOOK_JINJA:
		about_hooks(n, out);
		break;
	case NEED_SCHEMA_CHANGE:
		strbuf_printf(
			out,
			"Its on_schema_change is %s, and columns are not changed here; set it to ignore, or run "
			"the model with dbt",
			n->text);
		break;
	case NEED_CONTRACT:
		strbuf_puts(
			out,
			"Its contract is enforced, and contracts are not checked here; set contract.enforced "
			"to false, or run the model with dbt");
		break;
	case NEED_GRANTS:
	case NEED_SQL_HEADER:
	case NEED_PREDICATES:
	case NEED_COLUMN_CHOICE:
		about_config(n, out);
		break;
	case NEED_BATCH_VALUE:
	case NEED_IS_INCREMENTAL:
	case NEED_WAREHOUSE_LOOK:
	case NEED_RUN_CONTEXT:
		about_jinja(n, out);
		break;
	case NEED_OWN_STRATEGY:
		strbuf_printf(
			out,
			"The macro %s in %s takes the place of one with which dbt builds microbatch models, "
			"and only dbt can run it",
			n->text, n->where);
		break;
	case NEED_KINDS:
		break;
	}
}

/* Two hooks that are alike, say, are one reason. */
static bool said_before(const struct model *m, const struct need *n)
{
	const struct need *other = m->needs;
	while (other != n && (other->kind != n->kind || strcmp(other->where, n->where) != 0 ||
			      strcmp(other->text, n->text) != 0 || strcmp(other->words, n->words) != 0))
		other = other->next;
	return other != n;
}

void verdict_why_not(const struct model *m, uint64_t supports, struct strbuf *out)
{
	size_t begin = out->len;
	if (m->wrong)
		strbuf_puts(out, m->wrong);
	for (const struct need *n = m->needs; n; n = n->next) {
		if (supported(n, supports) || said_before(m, n))
			continue;
		if (out->len > begin)
			strbuf_puts(out, ". ");
		about(n, out);
	}
}

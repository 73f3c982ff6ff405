/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/strbuf.h"

void words_fini(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->list[i]);
	*w = (struct words){0};
}

static void add(struct words *w, const char *text)
{
	char *copy = w->n < WORDS_MAX ? strdup(text) : NULL;
	if (copy)
		w->list[w->n++] = copy;
	else
		w->broken = true;
}

static void add_pair(struct words *w, const char *option, const char *value)
{
	if (!value)
		return;
	add(w, option);
	add(w, value);
}

static void add_broken(struct words *w, const char *option, const struct strbuf *value)
{
	w->broken |= strbuf_broken(value);
	add_pair(w, option, value->str);
}

/* Before the verb. */
static void begin(struct words *w, const struct engine_config *config, const char *verb)
{
	*w = (struct words){0};
	add(w, config->dbt);
	add_pair(w, "--log-format", "json");
	add_pair(w, "--log-level", "info");
	add(w, verb);
}

/* Behind it: the user's own target/ and logs/ are never touched. */
static void places(struct words *w, const struct engine_config *config, const char *dir)
{
	auto_strbuf target = STRBUF_INIT, logs = STRBUF_INIT;
	strbuf_printf(&target, "%s/target", dir);
	strbuf_printf(&logs, "%s/logs", dir);
	add_pair(w, "--project-dir", config->project);
	add_pair(w, "--profiles-dir", config->profiles);
	add_pair(w, "--target", config->target);
	add_broken(w, "--target-path", &target);
	add_broken(w, "--log-path", &logs);
}

/*
 * The one model. fqn: also means a folder of that name beside it, so the file is asked for, too, where its
 * path is one that dbt's selection syntax can say. Files of packages have paths that it cannot.
 */
static void selector(const struct model *m, struct strbuf *out)
{
	strbuf_puts(out, "fqn:");
	for (size_t i = 0; m->fqn[i]; i++)
		strbuf_printf(out, "%s%s", i ? "." : "", m->fqn[i]);
	const char *path = m->original_path;
	if (path && *path && !path[strcspn(path, " ,*?[]{}+@\\")] && m->catalog &&
	    strcmp(m->package, m->catalog->project) == 0)
		strbuf_printf(out, ",path:%s", path);
}

static void add_time(struct words *w, const char *option, int64_t us)
{
	char text[CALENDAR_TIME_MAX];
	calendar_format_time(us, text);
	text[strcspn(text, "Z")] = '\0'; /* dbt takes no zone: it means UTC */
	add_pair(w, option, text);
}

void words_run(struct words *w, const struct engine_config *config, const char *dir, const struct model *m,
	       struct ordinal_range batches, bool anew)
{
	auto_strbuf select = STRBUF_INIT;
	begin(w, config, "run");
	if (anew)
		add(w, "--full-refresh");
	selector(m, &select);
	add_broken(w, "--select", &select);
	add_time(w, "--event-time-start", calendar_start(m->batch_size, batches.first));
	add_time(w, "--event-time-end", calendar_start(m->batch_size, batches.end));
	places(w, config, dir);
	/* Whatever the project's flags say: one batch that fails does not end the others. */
	add(w, "--no-fail-fast");
	add(w, "--write-json");
}

/* As a string in Jinja, which knows Python's escapes. */
static void jinja_string(struct strbuf *out, const char *text)
{
	strbuf_putc(out, '\'');
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			strbuf_putc(out, '\\');
		strbuf_putc(out, *text);
	}
	strbuf_putc(out, '\'');
}

void words_look(struct words *w, const struct engine_config *config, const char *dir, const struct model *m)
{
	const struct relation *r = &m->relation;
	auto_strbuf sql = STRBUF_INIT;
	begin(w, config, "show");
	strbuf_puts(&sql, "{% set t = adapter.get_relation(database=");
	if (r->database)
		jinja_string(&sql, r->database);
	else
		strbuf_puts(&sql, "none");
	strbuf_puts(&sql, ", schema=");
	jinja_string(&sql, r->schema ? r->schema : "");
	strbuf_puts(&sql, ", identifier=");
	jinja_string(&sql, r->identifier);
	strbuf_puts(&sql,
		    ") %}{% if t is none %}select 'missing' as batchfs_hour{% else %}select distinct {{ "
		    "dbt.date_trunc('hour', ");
	jinja_string(&sql, m->event_time);
	strbuf_printf(&sql, ") }} as batchfs_hour from {{ t }} where %s is not null{%% endif %%}",
		      m->event_time);
	add_broken(w, "--inline", &sql);
	add_pair(w, "--output", "json");
	add_pair(w, "--limit", "-1");
	places(w, config, dir);
}

void words_parse(struct words *w, const struct engine_config *config, const char *dir)
{
	*w = (struct words){0};
	add(w, config->dbt);
	add(w, "--quiet");
	add_pair(w, "--log-level", "none");
	add_pair(w, "--log-level-file", "none");
	add(w, "parse");
	places(w, config, dir);
}

char *words_json(const struct words *w)
{
	json_t *list = json_array();
	for (size_t i = 1; i < w->n; i++)
		json_array_append_new(list, json_string(w->list[i]));
	char *text = json_array_size(list) + 1 == w->n ? json_dumps(list, JSON_COMPACT) : NULL;
	json_decref(list);
	return text;
}

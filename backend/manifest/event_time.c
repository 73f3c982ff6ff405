/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/manifest/steps.h"

/*
 * Whether dbt quotes the column: as the column's own `quote` says; where that says nothing, or the YAML does
 * not list the column, as the source's `quoting.column` does (dbt-core, context/providers.py,
 * _resolve_event_time_field_name).
 */
static bool wants_quotes(const struct place *at, const char *event_time)
{
	const json_t *quoting = json_object_get(at->object, "quoting");
	const char *key;
	json_t *column;
	json_object_foreach(json_object_get(at->object, "columns"), key, column)
	{
		const char *name = json_string_value(json_object_get(column, "name"));
		const json_t *quote = json_object_get(column, "quote");
		if (strcmp(name ? name : key, event_time) == 0 && json_is_boolean(quote))
			return json_is_true(quote);
	}
	return json_is_true(json_object_get(quoting, "column"));
}

int load_event_time(struct loader *l, const struct place *at, const char **out)
{
	json_t *config;
	const char *text = NULL;
	*out = NULL;
	int r = get_object(at, "config", &config);
	if (!r && config) {
		struct place config_at = place_under(at, "config", config);
		r = get_string(&config_at, "event_time", &text);
	}
	if (r || !text || !*text)
		return r;
	/* A name that the project has written in quotes already, dbt would quote twice, which is no name. */
	bool quote = text[0] != '"' && wants_quotes(at, text);
	*out = arena_printf(l->arena, quote ? "\"%s\"" : "%s", text);
	return loader_check(l);
}

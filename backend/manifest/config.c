/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backend/base/cleanup.h"
#include "backend/manifest/steps.h"

static int load_batch_size(struct loader *l, const struct place *config, struct model *m)
{
	const char *text;
	m->batch_size = BATCH_DAY;
	int r = get_string(config, "batch_size", &text);
	if (r)
		return r;
	m->batch_size_text = arena_strdup(l->arena, text);
	if (!text)
		refuse(l, m, "The model has no batch_size; set it to hour, day, month or year");
	else if (!calendar_size_parse(text, &m->batch_size))
		refuse(l, m,
		       "Its batch_size '%s' is not known here; the batch sizes are hour, day, month and year",
		       text);
	return 0;
}

/* As dbt does: takes the wall-clock time that is written, drops its offset, and calls it UTC. */
static void load_begin(struct loader *l, const struct place *config, struct model *m)
{
	json_t *value = json_object_get(config->object, "begin");
	int64_t us;
	int32_t offset;
	m->begin = INT64_MAX;
	if (!value || json_is_null(value)) {
		refuse(l, m,
		       "The model has no begin; set it to the time of its first batch, as in "
		       "begin='2024-01-01'");
		return;
	}
	const char *text = json_string_value(value);
	if (!text || strlen(text) != json_string_length(value) || !calendar_parse_time(text, &us, &offset)) {
		char excerpt[80];
		json_excerpt(value, excerpt, sizeof(excerpt));
		refuse(l, m, "%s is %s, which is no time; write an ISO 8601 time, as in begin='2024-01-01'",
		       place_path(config, "begin", l->arena), excerpt);
		return;
	}
	m->begin = calendar_start(m->batch_size, calendar_ordinal(m->batch_size, us));
}

/*
 * dbt 1.x cuts batches in UTC. A zone of the model's own is asked for (dbt-core's issue 11578, as
 * event_timezone): whatever that will be called in the end, batches that are cut elsewhere are other batches.
 */
static void check_time_zone(struct loader *l, const struct place *config, struct model *m)
{
	const char *key;
	json_t *value;
	json_object_foreach(config->object, key, value)
	{
		bool of_batches = strncmp(key, "event_time", 10) == 0 || strncmp(key, "batch", 5) == 0;
		const char *zone = json_string_value(value);
		char excerpt[80];
		if (!of_batches || !strstr(key, "zone") || json_is_null(value) ||
		    (zone && strcasecmp(zone, "UTC") == 0))
			continue;
		json_excerpt(value, excerpt, sizeof(excerpt));
		refuse(l, m, "%s is %s; batches are cut in UTC here", place_path(config, key, l->arena),
		       excerpt);
	}
}

static void load_lookback(struct loader *l, const struct place *config, struct model *m)
{
	json_t *value = json_object_get(config->object, "lookback");
	m->lookback = 1;
	if (!value || json_is_null(value))
		return;
	json_int_t n = json_integer_value(value);
	if (json_is_integer(value) && n >= 0 && n <= INT32_MAX) {
		m->lookback = (int32_t)n;
		return;
	}
	char excerpt[80];
	json_excerpt(value, excerpt, sizeof(excerpt));
	refuse(l, m, "%s is %s; it must be a whole number of batches, 0 or more",
	       place_path(config, "lookback", l->arena), excerpt);
}

/* Reads one of our own settings, which has one value. */
static int load_own_flag(const struct place *own, const char *key, const char *value, const char *meaning,
			 bool *flag)
{
	const char *text;
	char where[200];
	int r = get_string(own, key, &text);
	if (r || !text)
		return r;
	*flag = strcmp(text, value) == 0;
	snprintf(where, sizeof where, "where only \"%s\" can stand (%s)", value, meaning);
	return *flag ? 0 : place_wrong(own, key, json_object_get(own->object, key), where);
}

/* Without the semicolon that it may end in: it is asked within a statement. */
static int load_expect(struct loader *l, const struct place *own, struct model *m)
{
	const char *text;
	int r = get_string(own, "expect", &text);
	if (r || !text)
		return r;
	size_t len = strlen(text);
	while (len && strchr(" \t\r\n;", text[len - 1]))
		len--;
	if (!len)
		return place_wrong(own, "expect", json_object_get(own->object, "expect"),
				   "where a SELECT of one row a batch (its start, its rows) can stand");
	m->expect = arena_strndup(l->arena, text, len);
	return 0;
}

/* Reads meta.batchfs, where the project's author tells batchfs what dbt does not know. */
static int load_own_meta(struct loader *l, const struct place *in, json_t *meta, struct model *m)
{
	json_t *own;
	struct place meta_at = place_under(in, "meta", meta);
	int r = get_object(&meta_at, "batchfs", &own);
	if (r || !own)
		return r;
	struct place own_at = place_under(&meta_at, "batchfs", own);
	r = load_expect(l, &own_at, m);
	if (!r)
		r = load_own_flag(&own_at, "outside", "drop", "rows outside of their batch are left out",
				  &m->outside_dropped);
	if (!r)
		r = load_own_flag(&own_at, "refresh", "atomic",
				  "a full refresh shows all of its batches at once", &m->atomic_refresh);
	if (!r)
		r = load_own_flag(&own_at, "partitions", "make",
				  "a partition is made for each batch that has none", &m->partitions_made);
	return r;
}

static int load_meta(struct loader *l, const struct place *at, const struct place *config, struct model *m)
{
	json_t *meta, *outer;
	int r = get_object(config, "meta", &meta);
	if (!r)
		r = get_object(at, "meta", &outer);
	if (r)
		return r;
	bool of_config = meta && json_object_size(meta);
	if (!of_config)
		meta = outer;
	auto_free char *text = meta ? json_dumps(meta, JSON_COMPACT) : NULL;
	if (meta && !text)
		l->arena->broken = true;
	if (text)
		m->meta_json = arena_strdup(l->arena, text);
	return meta ? load_own_meta(l, of_config ? config : at, meta, m) : 0;
}

static int load_checksum(struct loader *l, const struct place *at, struct model *m)
{
	json_t *checksum;
	const char *text = NULL;
	int r = get_object(at, "checksum", &checksum);
	if (!r && checksum) {
		struct place checksum_at = place_under(at, "checksum", checksum);
		r = get_string(&checksum_at, "checksum", &text);
	}
	if (text)
		m->checksum = arena_strdup(l->arena, text);
	return r;
}

static int load_flags(struct loader *l, const struct place *config, struct model *m)
{
	int r = refuse_wrong(l, m, get_bool(config, "concurrent_batches", &m->concurrent_batches));
	if (!r)
		r = refuse_wrong(l, m, get_bool(config, "full_refresh", &m->full_refresh));
	if (!r)
		r = refuse_wrong(l, m, get_strings(config, "unique_key", l->arena, &m->unique_key));
	if (r)
		return r;
	if (m->unique_key[0] && !*m->unique_key[0])
		m->unique_key[0] = NULL;
	return 0;
}

static int load_own_event_time(struct loader *l, const struct place *at, struct model *m)
{
	int r = load_event_time(l, at, &m->event_time);
	if (!r && !m->event_time)
		refuse(l, m,
		       "The model has no event_time; set it to the column that says which batch a row "
		       "belongs to");
	return r;
}

static int load_target(struct loader *l, const struct place *at, struct model *m)
{
	int r = load_relation(l, at, &m->relation);
	if (r)
		return r;
	if (!m->relation.rendered)
		refuse(l, m,
		       "The manifest gives no relation_name for the model; run `dbt compile` to write it "
		       "again");
	else if (l->dialect == SQL_POSTGRES && !*m->relation.schema)
		return place_wrong(at, "schema", json_object_get(at->object, "schema"),
				   "and relation_name has no schema either");
	return 0;
}

int load_config(struct loader *l, struct model *m)
{
	struct place at = loader_place(l, (size_t)m->node);
	struct place config = place_under(&at, "config", json_object_get(at.object, "config"));
	m->meta_json = "{}";
	m->checksum = "";
	if (l->wrong[m->node])
		refuse(l, m, "%s", l->wrong[m->node]);
	int r = refuse_wrong(l, m, load_target(l, &at, m));
	if (!r)
		r = refuse_wrong(l, m, load_own_event_time(l, &at, m));
	if (!r)
		r = load_flags(l, &config, m);
	if (!r)
		r = refuse_wrong(l, m, load_batch_size(l, &config, m));
	if (r)
		return r;
	check_time_zone(l, &config, m);
	load_begin(l, &config, m);
	if (!m->batch_size_text || strcmp(m->batch_size_text, calendar_size_name(m->batch_size)) != 0)
		m->begin = INT64_MAX;
	load_lookback(l, &config, m);
	r = refuse_wrong(l, m, load_meta(l, &at, &config, m));
	if (!r)
		r = refuse_wrong(l, m, load_checksum(l, &at, m));
	return r ? r : loader_check(l);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/adopt.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/dbt/look.h"

/* Where in the file. */
struct spot {
	const char *path;
	size_t result;
	const char *list; /* successful, failed */
	size_t window;
};

static int wrong(const struct spot *p, const char *key, const json_t *value, const char *wanted,
		 struct error *err)
{
	auto_free char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	return error_set(err, EINVAL, "%s: results[%zu]%s is %.80s, and not %s", p->path, p->result, key,
			 text ? text : "missing", wanted);
}

/* [start, end] in UTC. */
static int read_window(const struct spot *p, const json_t *window, int64_t *times, struct error *err)
{
	char key[64];
	for (size_t i = 0; i < 2; i++) {
		const char *text = json_string_value(json_array_get(window, i));
		snprintf(key, sizeof key, ".batch_results.%s[%zu]", p->list, p->window);
		if (!text || json_array_size(window) != 2 || !calendar_parse_instant(text, &times[i]))
			return wrong(p, key, window, "two times", err);
	}
	return times[0] < times[1] ? 0 : wrong(p, key, window, "a window that ends after its start", err);
}

typedef int window_fn(void *ctx, int64_t start, int64_t end, struct error *err);

static int each_window(struct spot *p, const json_t *batches, const char *list, window_fn *fn, void *ctx,
		       struct error *err)
{
	const json_t *windows = json_object_get(batches, list);
	char key[64];
	json_t *window;
	p->list = list;
	snprintf(key, sizeof key, ".batch_results.%s", list);
	if (!json_is_array(windows))
		return wrong(p, key, windows, "a list of windows", err);
	json_array_foreach(windows, p->window, window)
	{
		int64_t times[2] = {0};
		int r = read_window(p, window, times, err);
		if (r == 0 && fn)
			r = fn(ctx, times[0], times[1], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_result(struct spot *p, const json_t *result, struct error *err)
{
	const json_t *id = json_object_get(result, "unique_id");
	const json_t *batches = json_object_get(result, "batch_results");
	if (!json_is_string(id))
		return wrong(p, ".unique_id", id, "a name", err);
	if (!batches || json_is_null(batches))
		return 0;
	if (!json_is_object(batches))
		return wrong(p, ".batch_results", batches, "what dbt says of batches", err);
	int r = each_window(p, batches, "successful", NULL, NULL, err);
	return r == 0 ? each_window(p, batches, "failed", NULL, NULL, err) : r;
}

/* The file, checked; to be given back. */
static int load(const char *path, json_t **out, struct error *err)
{
	json_error_t why;
	struct spot p = {.path = path};
	json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &why), *result;
	const json_t *results = json_object_get(file, "results");
	int r = 0;
	*out = NULL;
	if (!file)
		return error_set(err, EINVAL, "%s: %s; adopt= is a run_results.json", path, why.text);
	if (!json_is_array(results))
		r = error_set(err, EINVAL, "%s: results is no list: adopt= is a run_results.json", path);
	json_array_foreach(results, p.result, result) if (r == 0) r = check_result(&p, result, err);
	if (r < 0)
		json_decref(file);
	else
		*out = file;
	return r;
}

int adopt_check(const char *path, struct error *err)
{
	json_t *file;
	int r = load(path, &file, err);
	json_decref(file);
	return r;
}

struct adopting {
	enum batch_size size;
	struct found_windows *out;
	size_t odd; /* windows that are no batch of the model */
};

/* A window of another size than the model has now may begin with one of its batches, and holds a part of it.
 */
static int add(void *ctx, int64_t start, int64_t end, struct error *err)
{
	struct adopting *a = ctx;
	ordinal batch = calendar_ordinal(a->size, start);
	if (calendar_start(a->size, batch) != start || calendar_start(a->size, batch + 1) != end) {
		a->odd++;
		return 0;
	}
	/* Twice as many each time: at 1, 2, 4, 8 ... */
	if ((a->out->n & (a->out->n - 1)) == 0) {
		ordinal *more = realloc(a->out->batches, (2 * a->out->n + 1) * sizeof *more);
		if (!more)
			return error_set(err, ENOMEM, "no memory");
		a->out->batches = more;
	}
	a->out->batches[a->out->n++] = batch;
	return 0;
}

static int take(struct spot *p, const json_t *result, const struct log *log, const struct model *m,
		struct found_windows *out, struct error *err)
{
	struct adopting a = {.size = m->batch_size, .out = out};
	const json_t *batches = json_object_get(result, "batch_results");
	const char *message = json_string_value(json_object_get(result, "message"));
	size_t failed = json_array_size(json_object_get(batches, "failed"));
	int r = each_window(p, batches, "successful", add, &a, err);
	if (r < 0)
		return r;
	found_sort(out);
	if (a.odd)
		log_warning(log, "%s: %s of %s no batch of this model now: left out", p->path,
			    count_of(a.odd, "window", "windows").text, m->dir);
	if (failed)
		log_info(log, "%s: %s of %s failed, and not adopted: %s", p->path,
			 count_of(failed, "batch", "batches").text, m->dir,
			 message && *message ? message : "dbt does not say why");
	return 0;
}

/* As far as the manifest tells; said with the first model that is read, which is the first one of the
 * catalog. */
static void name_unknown(const json_t *results, const char *path, const struct log *log,
			 const struct model *m)
{
	size_t i;
	json_t *result;
	if (!m->catalog || m != &m->catalog->models[0])
		return;
	json_array_foreach(results, i, result)
	{
		const char *id = json_string_value(json_object_get(result, "unique_id"));
		bool known = strncmp(id, "model.", strlen("model.")) != 0;
		for (size_t k = 0; k < m->catalog->n_models && !known; k++)
			known = strcmp(m->catalog->models[k].unique_id, id) == 0;
		if (!known)
			log_info(log, "%s: %s is no microbatch model of the manifest: left out", path, id);
	}
}

int adopt_read(const char *path, const struct log *log, const struct model *m, struct found_windows *out,
	       bool *told, struct error *err)
{
	json_t *file, *result;
	struct spot p = {.path = path};
	*told = false;
	int r = load(path, &file, err);
	if (r < 0)
		return r;
	const json_t *results = json_object_get(file, "results");
	name_unknown(results, path, log, m);
	json_array_foreach(results, p.result, result)
	{
		const json_t *batches = json_object_get(result, "batch_results");
		const char *id = json_string_value(json_object_get(result, "unique_id"));
		if (r == 0 && !*told && strcmp(id, m->unique_id) == 0 && json_is_object(batches)) {
			r = take(&p, result, log, m, out, err);
			*told = true;
		}
	}
	json_decref(file);
	return r;
}

int dbt_adopt(struct guest *g, const struct model *m, struct found_windows *out, bool *told,
	      struct error *err)
{
	*told = false;
	*out = (struct found_windows){.there = true, .began = clock_now_us(g->config.clock)};
	return g->config.adopt ? adopt_read(g->config.adopt, g->config.log, m, out, told, err) : 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The .status at the root: all models together, each by itself, and the mount. */
#include "backend/report/json.h"

static json_t *manifest_error(const struct report_mount *m)
{
	return m->manifest_wrong_at ? json_pack("{s:o, s:o}", "at", json_time(m->manifest_wrong_at),
						"message", json_text(m->manifest_wrong))
				    : json_null();
}

static json_t *mount_object(const struct report_mount *m)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:o, s:s, s:o, s:o, s:o}", "version", m->version, "engine",
			 m->engine, "store", m->store, "pid", (json_int_t)m->pid, "since",
			 json_time(m->since), "manifest", m->manifest, "manifest_loaded_at",
			 json_time(m->loaded_at), "manifest_error", manifest_error(m), "warehouse",
			 json_text(m->warehouse_error ? m->warehouse_error : "connected"));
}

int report_root(const struct report_summary *all, const struct report_of_model *models, size_t n,
		struct report_frozen *frozen, const struct report_refusal *refusal,
		const struct report_mount *mount, const struct report_source *source, struct strbuf *out)
{
	struct report_standing standing = {0};
	json_t *by_dir = json_object();
	for (size_t i = 0; i < n && by_dir; i++) {
		const struct report_of_model *m = &models[i];
		report_note_all(&standing, m->standing);
		json_t *one = json_summary(m->summary, m->model, frozen, m->refusal);
		json_standing(one, m->standing, false, source);
		json_object_set_new(by_dir, m->model->dir, one);
	}
	json_t *o = json_summary(all, NULL, frozen, refusal);
	json_standing(o, &standing, true, source);
	if (!o || !by_dir) {
		json_decref(o);
		json_decref(by_dir);
		return -ENOMEM;
	}
	json_object_set_new(o, "models", by_dir);
	json_object_set_new(o, "mount", mount_object(mount));
	return json_finish(o, out);
}

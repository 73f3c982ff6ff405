/* SPDX-License-Identifier: Apache-2.0 */
/* The document of .adopt: when tables were looked at, and what that found. */
#include "backend/report/json.h"

static json_t *found(const struct report_look *l)
{
	if (!l->found_at)
		return json_null();
	return json_pack("{s:o, s:I, s:I}", "at", json_time(l->found_at), "adopted", (json_int_t)l->adopted,
			 "gone", (json_int_t)l->gone);
}

static json_t *look(const struct report_look *l)
{
	return json_pack("{s:o, s:o, s:o}", "looked_at", json_time(l->looked_at), "found", found(l),
			 "why_not", json_text(l->why_not));
}

int report_looks(const struct report_look *looks, size_t n, bool several,
		 const struct report_refusal *refusal, struct strbuf *out)
{
	json_t *o;
	if (several) {
		json_t *models = json_object();
		for (size_t i = 0; models && i < n; i++)
			json_object_set_new(models, looks[i].model->dir, look(&looks[i]));
		o = json_pack("{s:o, s:o}", "models", models, "last_refusal", json_refusal(refusal));
	} else {
		o = json_pack("{s:s, s:o, s:o, s:o, s:o}", "model", looks->model->dir, "looked_at",
			      json_time(looks->looked_at), "found", found(looks), "why_not",
			      json_text(looks->why_not), "last_refusal", json_refusal(refusal));
	}
	return json_finish(o, out);
}

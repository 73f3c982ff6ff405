/* SPDX-License-Identifier: Apache-2.0 */
/* The document of .full-refresh: before one what it would do, during and after it how it stands. */
#include <stdio.h>

#include "backend/freeze.h"
#include "backend/report/json.h"

const char *report_protected_by(const struct report_protection *p)
{
	return p->by_config ? "config" : p->by_mount ? "mount" : p->by ? "chmod" : NULL;
}

/* NULL: nothing protects it. */
static json_t *message(const struct model *m, const struct report_protection *p)
{
	char why[FREEZE_WHY_MAX];
	if (p->by_config)
		snprintf(why, sizeof why, "its dbt config says full_refresh: false");
	else if (p->by_mount)
		snprintf(why, sizeof why, "this mount was made with -o protect");
	else if (p->by)
		freeze_why_protected(p->by->uid, p->by->command, p->at, why);
	else
		return json_null();
	return json_sprintf(
		"A full refresh of %s is refused to everybody, root too, because %s. A bounded rebuild is "
		"allowed and leaves the rest of the table as it is: touch a batch, a period such as "
		"2024-09 or a range such as 2024-09-01--2024-09-04 in this directory.",
		m->dir, why);
}

static json_t *last(const struct ledger_refresh *f)
{
	if (f->result == REFRESH_NEVER)
		return json_null();
	return json_pack("{s:s, s:o, s:o}", "result", refresh_result_word(f->result), "finished_at",
			 json_time(f->finished_at), "error", json_text(f->error));
}

static json_t *asked_by(const struct ledger_refresh *f)
{
	if (!f->by)
		return json_null();
	return json_pack("{s:I, s:o}", "uid", (json_int_t)f->by->uid, "command", json_text(f->by->command));
}

/* refusal NULL: none, or it is the selection's. */
static json_t *of_model(const struct report_refresh *r, struct report_frozen *frozen,
			const struct report_refusal *refusal)
{
	const struct ledger_refresh *f = r->refresh;
	const char *by = report_protected_by(&r->protection), *phase = refresh_phase_shown(f->phase);
	bool any = f->id != 0;
	size_t batches = any ? r->count.batches : r->summary->batches;
	return json_pack("{s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "model", r->model->dir, "protected", by ? json_string(by) : json_false(), "phase",
			 phase ? json_string(phase) : json_null(), "batches", (json_int_t)batches, "done",
			 json_count(any ? (int64_t)r->count.done : -1), "failed",
			 json_count(any ? (int64_t)r->count.failed : -1), "would_build",
			 json_would_build(r->summary, r->model), "rows_outside",
			 json_count(any ? f->rows_outside : -1), "rows_without_event_time",
			 json_count(any ? f->rows_without_event_time : -1), "frozen",
			 json_frozen(frozen, r->model), "since", json_time(f->since), "requested_by",
			 asked_by(f), "reason", json_text(f->by ? f->by->reason : NULL), "last", last(f),
			 "message", message(r->model, &r->protection), "last_refusal", json_refusal(refusal));
}

int report_full_refresh(const struct report_refresh *r, struct report_frozen *frozen,
			const struct report_refusal *refusal, struct strbuf *out)
{
	return json_finish(of_model(r, frozen, refusal), out);
}

int report_full_refreshes(const struct report_refresh *list, size_t n, struct report_frozen *frozen,
			  const struct report_refusal *refusal, struct strbuf *out)
{
	json_t *models = json_object();
	for (size_t i = 0; models && i < n; i++)
		json_object_set_new(models, list[i].model->dir, of_model(&list[i], frozen, list[i].refusal));
	return json_finish(json_pack("{s:o, s:o}", "models", models, "last_refusal", json_refusal(refusal)),
			   out);
}

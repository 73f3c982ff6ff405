/* SPDX-License-Identifier: Apache-2.0 */
/* What is carried out of the validations that were asked for. */
#include "backend/schedule/validate.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/count.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/ledger.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/model.h"
#include "backend/schedule/refusal.h"
#include "backend/schedule/runtime.h"
#include "backend/schedule/steps.h"
#include "backend/schedule/validation_wait.h"

#define RETRY_US      1000000
#define LONGEST_SHIFT 5
/* Connections that a validation may take with it, one after the other. */
#define LOST_MAX 5
/* The end of a look at a table does not wake the lane. */
#define UNLOOKED_US 200000

/* With the lock. Until a table has been looked at, nobody knows what of it is built. */
static bool may_begin(const struct backend *b, slot model)
{
	return ledger_looked(b->ledger, model) || b->runtime[model].look_failed ||
	       !b->runtime[model].lookable || models_gone(b->models, model);
}

/* With the lock. The one that has waited for longest; *next_us: when there may be one. */
static struct validation_record *next_due(struct backend *b, int64_t now_us, int64_t *next_us)
{
	struct validation_record *best = NULL;
	for (slot i = 0; i < models_end(b->models); i++) {
		const struct validation_list *l = &b->runtime[i].validations;
		for (size_t k = 0; k < l->n; k++) {
			struct validation_record *r = l->list[k];
			if (r->v.state != VALIDATION_ASKED || !r->v.mine || r->cancelling)
				continue;
			int64_t at = may_begin(b, i) ? r->not_before : now_us + UNLOOKED_US;
			if (at > now_us)
				*next_us = at < *next_us ? at : *next_us;
			else if (!best || r->v.id < best->v.id)
				best = r;
		}
	}
	return best;
}

/* With the lock, once it has been tried. Whether it ends so; else it is tried again. */
static bool ends(struct validation_record *r, int result, const struct error *err)
{
	bool away = warehouse_away(result), busy = result == -EBUSY;
	if (result == 0)
		return true;
	r->begun = false;
	if (result == -ECANCELED)
		return false;
	r->tries++;
	if (!away && !busy)
		return true;
	if (result == -ETIMEDOUT && r->tries > LOST_MAX)
		return true;
	unsigned shift = busy || r->tries < 1 ? 0 : r->tries - 1;
	r->not_before =
		clock_monotonic_us() + ((int64_t)RETRY_US << (shift < LONGEST_SHIFT ? shift : LONGEST_SHIFT));
	free(r->waits_for);
	r->waits_for = strdup(err->text);
	return false;
}

/* Into *v, which has its findings in `findings`. */
static int carry_out(struct backend *b, struct open_worker *worker, struct store_validation *v,
		     struct strbuf *findings, struct error *err)
{
	struct tally t = {.batch = NULL};
	int r = builder_validate(worker, v->model, v->batches, &t, err);
	if (r == 0) {
		v->looked = t.looked;
		r = tally_judge(&t, findings) ? error_set(err, ENOMEM, "no memory to validate") : 0;
	}
	v->at = clock_now_us(b->config.clock);
	v->batches_looked = t.batches;
	v->pending = t.pending;
	v->found = t.found;
	v->findings = findings->str;
	tally_fini(&t);
	return r;
}

static void tell(struct backend *b, const struct store_validation *v)
{
	const char *dir = dir_of(b, v->model);
	if (v->state == VALIDATION_FAILED) {
		const struct backend_file file = {.model = v->model};
		backend_refuse(b, &file, (uid_t)-1, EIO, "the validation of %s ended without a report: %s",
			       dir, v->message);
	} else if (v->state == VALIDATION_DONE) {
		log_info(b->config.log, "%s: validated %s, found %s", dir,
			 count_of((uint64_t)v->batches_looked, "batch", "batches").text,
			 v->found ? count_of((uint64_t)v->found, "problem", "problems").text : "nothing");
	}
}

/* Its end is recorded, so that every mount shows it. */
static int record(struct open_worker *worker, struct store_validation *v, int result, struct error *err)
{
	char why[sizeof err->text] = "";
	if (result)
		snprintf(why, sizeof why, "%s", err->text);
	v->state = result ? VALIDATION_FAILED : VALIDATION_DONE;
	v->message = why;
	if (result)
		v->findings = "";
	int r = builder_keep_validations(worker, v, 1, err);
	/* Of no use behind the end of this. */
	v->message = "";
	if (r == 0 && result)
		snprintf(err->text, sizeof err->text, "%s", why);
	return r;
}

static void run(struct lane *l, const struct lane_job *job)
{
	struct backend *b = l->b;
	auto_strbuf findings = STRBUF_INIT;
	struct open_worker *worker = NULL;
	struct error err = {0};
	struct store_validation v = {.id = 0};
	bool over;
	{
		LOCKED(&b->lock);
		struct validation_record *r =
			validation_list_find(&b->runtime[job->model].validations, b->validating);
		if (r)
			v = r->v;
	}
	v.findings = v.message = "";
	int result = v.id ? lane_worker(l, &worker, &err) : -ECANCELED;
	if (result == 0) {
		LOCKED(&b->lock);
		struct validation_record *r = validation_list_find(&b->runtime[job->model].validations, v.id);
		if (r && r->v.state == VALIDATION_ASKED)
			step_begin(l, job->model);
		else
			result = -ECANCELED;
	}
	if (result == 0)
		result = carry_out(b, worker, &v, &findings, &err);
	{
		LOCKED(&b->lock);
		step_end(l);
		struct validation_record *r = validation_list_find(&b->runtime[job->model].validations, v.id);
		over = r && ends(r, result, &err);
	}
	/* Without a worker nothing can be recorded, and it is tried again. */
	int recorded = !over ? 0 : worker ? record(worker, &v, result, &err) : result;
	/* Somebody else has ended it: the store tells how. */
	over &= v.state != VALIDATION_CANCELLED;
	if (recorded) {
		LOCKED(&b->lock);
		struct validation_record *r = validation_list_find(&b->runtime[job->model].validations, v.id);
		over = false;
		if (r)
			ends(r, recorded == -ECANCELED ? recorded : -EHOSTUNREACH, &err);
	}
	{
		LOCKED(&b->lock);
		b->validating = 0;
	}
	v.message = result ? err.text : "";
	v.mine = false;
	if (over) {
		tell(b, &v);
		validation_told(b, &v);
	}
}

bool validation_source(struct backend *b, int64_t now_us, struct lane_job *job, int64_t *next_us)
{
	struct validation_record *r = b->stopping ? NULL : next_due(b, now_us, next_us);
	if (!r)
		return false;
	r->begun = true;
	b->validating = r->v.id;
	*job = (struct lane_job){.run = run, .model = r->v.model};
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What is refused is kept for the documents of the file, and logged. */
#include <stdarg.h>
#include <stdio.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/base/clock.h"
#include "backend/base/log.h"
#include "backend/engine.h"
#include "backend/refusals.h"
#include "backend/schedule/changes.h"
#include "backend/schedule/refuse.h"
#include "backend/schedule/runtime.h"

/* The file that whoever wants to build these batches would write to. */
static struct backend_file file_of(slot model, struct ordinal_range batches)
{
	return (struct backend_file){.model = model, .batches = batches};
}

static void keep(struct backend *b, const struct backend_file *file, uid_t uid, struct report_refusal *r)
{
	const char *where = file->selection ? file->selection : file->model < 0 ? "" : dir_of(b, file->model);
	r->at = clock_now_us(b->config.clock);
	log_write(b->config.log, file->lookup ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "%s%srefused (%s): %s",
		  where, *where ? ": " : "", error_name(r->err), r->message);
	LOCKED(&b->lock);
	refusals_add(&b->refusals, file, uid, r);
}

int backend_refuse(struct backend *b, const struct backend_file *file, uid_t uid, int err, const char *fmt,
		   ...)
{
	struct report_refusal r = {.err = err};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(r.message, sizeof r.message, fmt, ap);
	va_end(ap);
	keep(b, file, uid, &r);
	return -err;
}

int refuse_part(struct backend *b, const struct backend_file *file, const struct backend_part *part,
		uid_t uid, const struct error *why)
{
	const struct backend_file of_part = file_of(part->model, part->batches);
	return backend_refuse(b, file ? file : &of_part, uid, why->err, "%s", why->text);
}

void refuse_request(struct backend *b, const struct store_request *r, int err, const char *text)
{
	struct backend_file file = file_of(r->model, r->batches);
	file.full_refresh =
		r->kind == REQUEST_PROTECT || r->kind == REQUEST_UNPROTECT || r->kind == REQUEST_FULL;
	backend_refuse(b, &file, r->uid, err, "%s", text);
	changed(b, r->model, r->batches);
}

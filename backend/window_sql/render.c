/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/window_sql/template.h"

#include <stdlib.h>

static int render_hole(const struct sql_hole *h, enum time_type type, int64_t start_us, int64_t end_us,
		       struct strbuf *out, struct error *err)
{
	strbuf_puts(out, h->event_time);
	strbuf_puts(out, " >= ");
	int rc = time_literal(type, start_us, out, err);
	if (rc == 0) {
		strbuf_puts(out, " and ");
		strbuf_puts(out, h->event_time);
		strbuf_puts(out, " < ");
		rc = time_literal(type, end_us, out, err);
	}
	if (rc < 0)
		error_prefix(err, "input %s, event_time %s: ", h->relation, h->event_time);
	return rc;
}

int window_sql_render(const struct sql_template *t, const enum time_type *types, int64_t start_us,
		      int64_t end_us, struct strbuf *out, struct error *err)
{
	size_t done = 0;

	for (size_t i = 0; i < t->n_holes; i++) {
		const struct sql_hole *h = &t->holes[i];
		strbuf_add(out, t->text + done, h->at - done);
		done = h->at;
		int rc = render_hole(h, types[h->input], start_us, end_us, out, err);
		if (rc < 0)
			return rc;
	}
	strbuf_add(out, t->text + done, t->len - done);
	if (strbuf_broken(out))
		return error_set(err, ENOMEM, "out of memory while writing SQL");
	return 0;
}

void window_sql_free(struct sql_template *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_holes; i++) {
		free(t->holes[i].event_time);
		free(t->holes[i].relation);
	}
	free(t->holes);
	free(t->text);
	free(t);
}

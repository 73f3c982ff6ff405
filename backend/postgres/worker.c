/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backend/postgres/look.h"

int pg_worker_open(struct store *s, const char *lane, struct worker **out, struct error *err)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return error_set(err, ENOMEM, "no memory for a worker");
	w->store = s;
	w->ran = SLOT_NONE;
	w->conn = (struct pg_conn){.config = s->config,
				   .purpose = lane,
				   .owner = s->owner,
				   .home = &s->home,
				   .abandon_fd = s->abandon_fd};
	int r = pg_cancel_init(&w->cancel, &w->conn, err);
	if (r) {
		free(w);
		return r;
	}
	w->conn.waker = &w->cancel.waker;
	*out = w;
	return 0;
}

void pg_worker_close(struct worker *w)
{
	if (!w)
		return;
	pg_disconnect(&w->conn);
	pg_cancel_fini(&w->cancel);
	pg_writes_free(w);
	free(w);
}

void pg_interrupt(struct worker *w)
{
	pg_cancel_ask(&w->cancel);
}

bool passing_state(const char *sqlstate)
{
	/* 57014 only where nobody asked for it: a cancel meant for another statement. */
	static const char *const states[] = {"40001", "40P01", "55P03", "57P01", "57P02",
					     "57P03", "53300", "58030", "57014"};
	for (size_t i = 0; i < sizeof states / sizeof *states; i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return true;
	/* A connection was lost; or the server, whose own stands, cannot reach another one that it needs.
	 * 08P01 is a statement that breaks the protocol (a stray $1), and will do so again. */
	return strncmp(sqlstate, "08", 2) == 0 && strcmp(sqlstate, "08P01") != 0;
}

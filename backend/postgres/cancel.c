/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/eventfd.h>

#include "backend/base/cleanup.h"
#include "backend/postgres/cancel.h"
#include "backend/postgres/connect.h"
#include "backend/postgres/pipe.h"

#define REPEAT_US	1000000
#define SIDE_TIMEOUT_US 2000000
/* Then the connection is dropped: before its COMMIT is sent, that rolls back for certain. */
#define UNREACHED_MAX 5

static bool wanted(struct pg_cancel *x)
{
	LOCKED(&x->lock);
	return x->armed && x->asked;
}

/* Cancels what c does if that is due. */
static int cancel_due(struct pg_waker *waker, const struct pg_conn *c, int64_t now, int64_t *next)
{
	struct pg_cancel *x = (struct pg_cancel *)waker;
	*next = PG_NO_DEADLINE;
	if (!wanted(x) || PQtransactionStatus(c->pq) == PQTRANS_UNKNOWN)
		return 0;
	if (now >= x->next_try) {
		struct pg_params params = {0};
		pg_param_int(&params, PQbackendPID(c->pq));
		auto_result *r = NULL;
		int failed = pg_connect(&x->side, now + SIDE_TIMEOUT_US, NULL);
		if (!failed)
			failed = pg_query(&x->side, now + SIDE_TIMEOUT_US,
					  "select pg_catalog.pg_cancel_backend($1::int)", &params, &r, NULL);
		if (failed && ++x->unreached >= UNREACHED_MAX)
			return -EINTR;
		x->next_try = clock_monotonic_us() + REPEAT_US;
	}
	*next = x->next_try;
	return 0;
}

int pg_cancel_init(struct pg_cancel *x, const struct pg_conn *model, struct error *err)
{
	*x = (struct pg_cancel){.side = *model};
	x->side.purpose = "cancel";
	x->side.pq = NULL;
	x->side.waker = NULL;
	x->waker.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (x->waker.fd < 0)
		return error_set(err, errno, "no eventfd: %m");
	x->waker.due = cancel_due;
	pthread_mutex_init(&x->lock, NULL);
	return 0;
}

void pg_cancel_fini(struct pg_cancel *x)
{
	pg_disconnect(&x->side);
	close(x->waker.fd);
	pthread_mutex_destroy(&x->lock);
}

void pg_cancel_forget(struct pg_cancel *x)
{
	LOCKED(&x->lock);
	x->asked = false;
}

void pg_cancel_arm(struct pg_cancel *x, bool armed)
{
	LOCKED(&x->lock);
	x->armed = armed;
	x->next_try = 0;
	x->unreached = 0;
}

void pg_cancel_ask(struct pg_cancel *x)
{
	LOCKED(&x->lock);
	x->asked = true;
	uint64_t one = 1;
	ssize_t put = write(x->waker.fd, &one, sizeof one);
	(void)put; /* full means that it is readable */
}

bool pg_cancel_asked(struct pg_cancel *x)
{
	LOCKED(&x->lock);
	return x->asked;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table beside (beside.h) takes the target's place. Views that read the target go on with the new one and
 * keep their identity; materialized views that read it directly are made anew beside and filled from the new
 * table first (mirrors). Readers wait for less than 200 ms: 100 ms at most for the locks, then some
 * milliseconds for the exchange itself.
 */
#ifndef BATCHFS_POSTGRES_EXCHANGE_H
#define BATCHFS_POSTGRES_EXCHANGE_H

#include "backend/postgres/beside.h"

/* 0, or -EOPNOTSUPP: `table` has something that an exchange would lose; *err names all of it. */
int exchange_check(struct pg_conn *c, const struct beside *b, const char *table, int64_t until,
		   struct error *err);

/*
 * Carries out the exchange and takes it back, in a transaction that the caller has opened: whatever will
 * fail at its end fails here. -EAGAIN: a lock was not to be had, and the transaction has failed.
 * -EOPNOTSUPP: it will fail, in the server's words.
 */
int exchange_rehearse(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err);

/*
 * Makes and fills what stands beside the materialized views; in transactions of its own. Again, where the
 * table beside has changed since. Takes as long as their queries. -EAGAIN: as above, none was filled.
 */
int exchange_mirror(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err);

/*
 * In a transaction that the caller has opened, and commits soon: every reader of the table waits for that.
 * -EAGAIN: a lock was not to be had in time, the transaction has failed, and the next try should come after
 * a pause. The former table is dropped.
 */
int exchange_run(struct pg_conn *c, const struct beside *b, int64_t until, struct error *err);

#endif

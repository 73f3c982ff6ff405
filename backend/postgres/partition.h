/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets that are partitioned by range of their event_time: a batch may be a partition there. Partitions
 * that batches lack are made where the model's config says so (meta.batchfs.partitions: make), each by a
 * table that is attached: CREATE TABLE ... PARTITION OF would lock all readers of the target out, to attach
 * an empty table does not.
 */
#ifndef BATCHFS_POSTGRES_PARTITION_H
#define BATCHFS_POSTGRES_PARTITION_H

#include "backend/postgres/pgstore.h"

/*
 * From this many rows on a batch is replaced by exchange of its partition. Measured in one transaction each,
 * two indexes, 60 bytes a row, 20 partitions, PostgreSQL 15 (DELETE and INSERT / exchange, ms): 1,000
 * rows 3.7 / 5.6; 3,000 10.2 / 9.6; 10,000 36 / 22; 30,000 109 / 49; 100,000 342 / 143. The cost of the
 * exchange itself grows with the number of partitions (12 ms at 365: facts/postgres.md §2), so that the rule
 * starts where it pays by 1.7. tests/bench/bench.py partitions measures it again.
 */
#define PARTITION_EXCHANGE_ROWS 10000

/* Whether batches of the model may be replaced by exchange of a partition: partition_exchange.h. */
bool partition_exchanged(const struct pg_model *m, const struct pg_shape *shape);
/* Whether its config asks for partitions, and the target can have them. */
bool partition_made(const struct pg_model *m, const struct pg_shape *shape);

/*
 * Makes the partitions that batches of the run lack, in a transaction of its own, outside of any other. 0,
 * also where that is refused for ever: then *refused says why. Where the default partition holds rows none is
 * made: it takes the batches' rows.
 */
int partition_make(struct worker *w, const struct pg_model *m, const struct build_run *run,
		   const struct pg_shape *shape, struct error *refused, struct error *err);

/* For .model: how batches are replaced, and sentences about that, each ended by '\n', appended to notes. */
const char *partition_strategy(const struct pg_model *m, const struct pg_shape *shape, char *notes,
			       size_t size);

#endif

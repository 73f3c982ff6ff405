/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of another warehouse: all that is known here of them is what the guest has found. */
#ifndef BATCHFS_POSTGRES_RECORD_H
#define BATCHFS_POSTGRES_RECORD_H

#include "backend/postgres/pgstore.h"

/* What stands in the place of such a table's oid: no table has it. */
#define OID_ELSEWHERE 1u

/* As builder_ops.record. */
int pg_record(struct worker *w, slot model, enum look_kind kind, const struct found_windows *found,
	      const struct store_sink *sink, struct error *err);

#endif

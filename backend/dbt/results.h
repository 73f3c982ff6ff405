/* SPDX-License-Identifier: Apache-2.0 */
/* What run_results.json says of a chunk. */
#ifndef BATCHFS_DBT_RESULTS_H
#define BATCHFS_DBT_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/manifest.h"
#include "backend/run_marks.h"

struct results {
	bool found; /* the file is there, whole, of this very invocation, and has the model */
	struct run_marks successful, failed; /* dbt calls failed what it has skipped, too */
	bool whole;	   /* it names batches, each one of the chunk: what it does not name was not built */
	char message[512]; /* the model's; "": none */
};

/* Reads the file of the invocation; count: at most CLAIM_MAX. Anything that is not as it should be: nothing
 * is found. */
void results_read(const char *path, const char *invocation, const struct model *m, ordinal first,
		  uint32_t count, struct results *out);

#endif

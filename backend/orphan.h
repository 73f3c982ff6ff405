/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a store about what waits for SQL, or for a batch, that a manifest does not have any more.
 */
#ifndef BATCHFS_ORPHAN_H
#define BATCHFS_ORPHAN_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/calendar.h"
#include "backend/slot.h"

/* What waits for a build that this mount does not make. */
struct store_orphan {
	int64_t request; /* its id */
	slot model;
	ordinal batch; /* the last of those that wait for the request so */
	bool had;      /* out: a mount that lives can build that, or may, as far as is known */
	bool own;      /* out: this mount has asked for it */
	bool late;     /* out: for a minute no mount could, by the clock of the server */
};

#endif

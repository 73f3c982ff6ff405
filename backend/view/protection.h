/* SPDX-License-Identifier: Apache-2.0 */
/* Who protects a model against a full refresh. */
#ifndef BATCHFS_VIEW_PROTECTION_H
#define BATCHFS_VIEW_PROTECTION_H

#include "backend/snapshot.h"

/* With the snapshot's lock, and valid as long as it is held. */
static inline struct report_protection protection_of(const struct snapshot *v, slot model)
{
	struct report_protection p = {.by_config = models_at(v->models, model)->full_refresh == TRI_FALSE,
				      .by_mount = v->config->protect};
	p.by = ledger_protected(v->ledger, model, &p.at);
	return p;
}

#endif

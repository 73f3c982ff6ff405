/* SPDX-License-Identifier: Apache-2.0 */
/* As members of struct guest_ops. */
#ifndef BATCHFS_DBT_BUILD_H
#define BATCHFS_DBT_BUILD_H

#include "backend/guest.h"

int dbt_build(struct guest_worker *w, const struct model *m, const struct build_run *run,
	      build_report_fn *report, void *ctx, struct error *err);
int dbt_statements(struct guest *h, const struct model *m, struct ordinal_range batches, struct strbuf *out,
		   struct error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* As members of struct builder_ops. */
#ifndef BATCHFS_DBT_BUILD_H
#define BATCHFS_DBT_BUILD_H

#include "backend/base/strbuf.h"
#include "backend/builder.h"

int dbt_prepare(struct worker *w, slot model, bool make, struct store_target *target, struct error *err);
int dbt_build(struct worker *w, const struct build_run *run, build_report_fn *report, void *ctx,
	      struct error *err);
int dbt_statements(struct store *s, slot model, struct ordinal_range batches, struct strbuf *out,
		   struct error *err);

#endif

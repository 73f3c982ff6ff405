/* SPDX-License-Identifier: Apache-2.0 */
/* The text in which findings travel and are kept: a line each, its fields set apart by tabs. */
#ifndef BATCHFS_VALIDATION_FINDINGS_H
#define BATCHFS_VALIDATION_FINDINGS_H

#include "backend/validation.h"

void findings_put_problem(struct strbuf *out, enum batch_size size, const struct problem *p);
void findings_put_gap(struct strbuf *out, enum batch_size size, struct ordinal_range gap);
/* The problems of this batch and of those behind it are not all there. */
void findings_put_cut(struct strbuf *out, enum batch_size size, ordinal batch);
void findings_put_one(struct strbuf *out, int64_t rows, int64_t recorded);

#endif

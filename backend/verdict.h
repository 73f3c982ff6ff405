/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a model can be built here. The manifest says what a model needs, an engine says what it supports;
 * the verdict is made from both in this one place, and so is the sentence that tells a person why not and
 * what to do.
 */
#ifndef BATCHFS_VERDICT_H
#define BATCHFS_VERDICT_H

#include "backend/base/strbuf.h"
#include "backend/manifest.h"

/* The bit of engine.supports for a kind of need. */
#define SUPPORTS(kind) (UINT64_C(1) << (kind))

/* Whether an engine that supports these needs can build the model. */
bool verdict_builds(const struct model *m, uint64_t supports);

/*
 * Whether its table can be looked at, whoever builds it: the manifest says which table that is, which
 * event_time it has and which batches there are.
 */
bool verdict_looks(const struct model *m);

/*
 * Appends why the model cannot be built: a sentence for each reason, joined by full stops, without the last
 * one. Nothing where it can be.
 */
void verdict_why_not(const struct model *m, uint64_t supports, struct strbuf *out);

#endif

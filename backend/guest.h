/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest is a builder that knows no store: it builds batches and finds out which windows of a table hold
 * rows, and what becomes of both is recorded by whichever store the mount has (SETTLE_DONE of a batch,
 * builder_ops.record of a look), after the guest has committed. So it goes with every store. dbt is one.
 *
 * Every worker belongs to one thread, which alone calls its functions, but for interrupt. All return 0 or
 * -errno with the sentence in *err. The facts of a model are the caller's, held as long as the call takes.
 */
#ifndef BATCHFS_GUEST_H
#define BATCHFS_GUEST_H

#include "backend/builder.h"
#include "backend/verdict.h"

struct guest;
struct guest_worker;

struct guest_ops {
	/* -ENOENT and the like: what the mount was given (project=, dbt=) is not there. */
	int (*open)(const struct engine_config *config, struct guest **out, struct error *err);
	/* Every worker is closed. NULL is fine. */
	void (*close)(struct guest *g);
	/* As in store.h: from then on every call gives up within a moment with -ECANCELED. Any thread. */
	void (*abandon)(struct guest *g);

	/* As in builder.h. */
	int (*worker_open)(struct guest *g, const char *lane, struct guest_worker **out, struct error *err);
	void (*worker_close)(struct guest_worker *w); /* NULL is fine */
	void (*interrupt)(struct guest_worker *w);
	int (*build)(struct guest_worker *w, const struct model *m, const struct build_run *run,
		     build_report_fn *report, void *ctx, struct error *err);
	int (*statements)(struct guest *g, const struct model *m, struct ordinal_range batches,
			  struct strbuf *out, struct error *err);

	/* Which windows of the model's table hold rows; out->batches is the caller's to free. -EBUSY:
	 * somebody is in the way; later. */
	int (*find)(struct guest_worker *w, const struct model *m, struct found_windows *out,
		    struct error *err);

	/* In the place of find(), of a table that nobody has looked at yet: what somebody says of it
	 * (adopt=). *told false: nothing, and find() comes. */
	int (*adopt)(struct guest *g, const struct model *m, struct found_windows *out, bool *told,
		     struct error *err);
};

struct guest_builder {
	struct builder_traits traits;
	const struct guest_ops *ops;
	/* Why a model that it supports is refused all the same, for as long as its facts are these: *why_not,
	 * else untouched. Any thread. */
	void (*refuses)(const struct model *m, struct error *why_not);
};

/* Whether the mount's guest builds the model: what the store's own engine, which supports `native`, cannot.
 */
static inline bool guest_builds(const struct engine_config *c, uint64_t native, const struct model *m)
{
	return c->guest && (c->elsewhere || !verdict_builds(m, native)) &&
	       verdict_builds(m, c->guest->traits.supports);
}

/* Why the mount's guest refuses a model that it would build, for as long as its facts are these: *why_not,
 * else untouched. A store that reports a target by itself (sink.target), or offers code, has to ask. */
static inline void guest_refuses(const struct engine_config *c, uint64_t native, const struct model *m,
				 struct error *why_not)
{
	if (guest_builds(c, native, m) && c->guest->refuses)
		c->guest->refuses(m, why_not);
}

#endif

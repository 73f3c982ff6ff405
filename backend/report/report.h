/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents: plain facts in, JSON text out. Times are ISO 8601 in UTC with a Z, what is
 * not known is null, batches are named bare; keys are never renamed. Every function appends one JSON value,
 * a key a line, and a newline to `out` and returns 0 or -ENOMEM.
 */
#ifndef BATCHFS_REPORT_H
#define BATCHFS_REPORT_H

#include "backend/base/strbuf.h"
#include "backend/builder.h"
#include "backend/ledger.h"

/* A refused operation, as last_refusal shows it. */
struct report_refusal {
	int64_t at;
	int err; /* positive errno */
	char message[300];
};

struct report_cause {
	const struct model *model;
	ordinal batch;
};

struct report_batch {
	const struct model *model;
	ordinal batch;
	const struct batch_info *info;
	const struct report_refusal *refusal; /* NULL: none */
	const char *engine;
	const struct report_cause *because; /* what it is stale or skipped because of */
	size_t n_because;
};
int report_batch(const struct report_batch *r, struct strbuf *out);

/* The length of that text, without writing it: for listings. */
size_t report_batch_size(const struct report_batch *r);

/* Counts over batches: of a range, a model, everything. Zero-initialised: nothing yet. */
struct report_summary {
	size_t batches, states[BATCH_STATES];
	size_t build, why[BATCH_STATES], why_lookback, why_asked;
	size_t known; /* of what would be built: how many have a last build to judge by */
	int64_t known_rows, known_us;
	ordinal first, last, first_failed,
		last_failed; /* first/last: of what would be built; valid where the counts say so */
	int64_t last_finished;
};

/* Adds one batch. reason: why it would be built, NULL: it would not; "requested" for a range that is asked
 * for. */
void report_count(struct report_summary *s, ordinal batch, const struct batch_info *info, const char *reason);

/* Adds one summary to another; the ordinals are not carried over. */
void report_merge(struct report_summary *into, const struct report_summary *from);

/* The frozen batches of a range or of models, model by model. {0}: none. */
struct report_frozen {
	struct report_cause *list;
	size_t n, size;
	size_t named; /* so many have been written, each with its own model */
	bool broken;  /* no memory */
};
void report_frozen_add(struct report_frozen *f, const struct model *m, ordinal batch);
void report_frozen_fini(struct report_frozen *f);

int report_range(const struct report_summary *s, const struct model *m, struct report_frozen *frozen,
		 const struct report_refusal *refusal, struct strbuf *out);

/* What .status says besides the counts. Zero-initialised: nothing yet; a model's batches are noted in order.
 */
#define REPORT_RUNNING	8
#define REPORT_FAILURES 5
struct report_mark {
	slot of;
	const struct model *model;
	ordinal batch;
	int64_t at;
};
struct report_standing {
	int64_t built_until; /* all before it is built; 0: not known */
	bool gap;	     /* that is the start of a batch that is not built */
	size_t n_running, n_failures;
	struct report_mark running[REPORT_RUNNING];   /* the longest first */
	struct report_mark failures[REPORT_FAILURES]; /* the newest first */
};
void report_note(struct report_standing *s, slot of, const struct model *m, ordinal batch,
		 const struct batch_info *info);
void report_note_all(struct report_standing *into, const struct report_standing *from);

/* Counting a model takes a while where it is large: what was counted is kept with the model until something
 * changes. Zero-initialised: nothing yet. */
struct report_kept {
	struct report_summary summary; /* of everything that exists, as of: */
	struct report_standing standing;
	uint64_t generation; /* of the model; 0: nothing is kept */
	ordinal end;
};

/* Where the texts of failures are, and the clock. */
struct report_source {
	int64_t now;
	void (*info)(void *ctx, slot model, ordinal batch, struct batch_info *out);
	void *ctx;
};
int report_status(const struct report_summary *s, const struct report_standing *standing,
		  const struct model *m, struct report_frozen *frozen, const struct report_refusal *refusal,
		  const struct report_source *source, struct strbuf *out);
/* Of a selection, with the names (NULL-terminated) of what it does not rebuild. standing NULL: of its .run; m
 * NULL: of several models. */
int report_selection(const struct report_summary *s, const struct report_standing *standing,
		     const struct model *m, struct report_frozen *frozen,
		     const struct report_refusal *refusal, const struct report_source *source,
		     const char *const *not_rebuilt, struct strbuf *out);

struct report_mount {
	const char *version, *engine, *manifest, *warehouse_error; /* warehouse_error NULL: connected */
	int64_t pid, since, loaded_at;
};
/* What .status at the root says of one model. */
struct report_of_model {
	const struct model *model;
	const struct report_refusal *refusal; /* NULL: none */
	const struct report_summary *summary;
	const struct report_standing *standing;
};
/* frozen: in the order of the models; refusal: the root's */
int report_root(const struct report_of_model *models, size_t n, struct report_frozen *frozen,
		const struct report_refusal *refusal, const struct report_mount *mount,
		const struct report_source *source, struct strbuf *out);

/* Against a full refresh. */
struct report_protection {
	bool by_config, by_mount;
	const struct requester *by; /* a chmod; NULL: none */
	int64_t at;
};

struct report_model {
	const struct model *model;
	const char *why_not; /* NULL: runnable */
	const char *note;    /* "": none */
	enum time_type event_time_type;
	struct report_protection protection;
};
int report_model(const struct report_model *r, struct strbuf *out);

/* What .full-refresh says. */
int report_full_refresh(const struct model *m, const struct report_protection *p,
			const struct report_refusal *refusal, struct strbuf *out);

/* A line of .history. */
int report_attempt(const struct model *m, const struct ended_attempt *a, struct strbuf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents: plain facts in, JSON text out. Times are ISO 8601 in UTC with a Z, what is
 * not known is null, batches are named bare; keys are never renamed. Every function appends one JSON value,
 * a key a line, and a newline to `out` and returns 0 or -ENOMEM.
 */
#ifndef BATCHFS_REPORT_H
#define BATCHFS_REPORT_H

#include "backend/base/strbuf.h"
#include "backend/batch_set.h"
#include "backend/builder.h"
#include "backend/ledger.h"
#include "backend/state_runs.h"

/* A refused operation, as last_refusal shows it. */
struct report_refusal {
	int64_t at;
	int err; /* an errno, positive */
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
	const struct report_refusal *refusal; /* NULL: there is none */
	const char *builder;		      /* who built it, else who would here; NULL: nobody */
	const struct report_cause *because;   /* the batches because of which this one is stale or skipped */
	size_t n_because;
};
int report_batch(const struct report_batch *r, struct strbuf *out);

/* How long that document is, without writing it, for the sizes in a listing. */
size_t report_batch_size(const struct report_batch *r);

/* What building takes, as far as former builds tell; -1: not known. */
struct report_estimate {
	int64_t rows;
	int64_t us; /* from the first begin to the last end */
};

/* Counts over the batches of a range, of a model, or of everything. All zero: nothing is counted yet. */
struct report_summary {
	size_t batches, states[BATCH_STATES];
	size_t build, why[BATCH_STATES], why_lookback, why_asked;
	size_t known; /* how many of those that would be built have a last build to judge by */
	int64_t known_rows, known_us;
	struct report_estimate expected;
	bool unlooked; /* what would be built is not known: nobody has looked at a table yet */
	ordinal first, last, first_failed,
		last_failed; /* first and last are of the batches that would be built. Each is valid only
				where the counts say that there is such a batch */
	int64_t last_finished;
};

/*
 * Adds one batch. reason: why the batch would be built ("requested" where somebody asks for its range); NULL:
 * it would not be built.
 */
void report_count(struct report_summary *s, ordinal batch, const struct batch_info *info, const char *reason);

/* Adds what one batch, which is counted already, adds to what would be built. */
void report_count_build(struct report_summary *s, ordinal batch, const struct batch_info *info,
			const char *reason);

/*
 * Adds the counts of one summary to another. Ordinals and estimates are not carried over, because two models
 * may stand behind them.
 */
void report_merge(struct report_summary *into, const struct report_summary *from);

/* The frozen batches of a range or of models, model by model. All zero: there is none. */
struct report_frozen {
	struct report_cause *list;
	size_t n, size;
	size_t named; /* how many of them the models written so far have named */
	bool broken;  /* there was no memory for one of them */
};
void report_frozen_add(struct report_frozen *f, const struct model *m, ordinal batch);
void report_frozen_fini(struct report_frozen *f);

int report_range(const struct report_summary *s, const struct model *m, struct report_frozen *frozen,
		 const struct report_refusal *refusal, struct strbuf *out);

/*
 * What .status says besides the counts. All zero: nothing is noted yet. The batches of a model are noted in
 * order.
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
	int64_t built_until;	/* every batch that ends by then is built; 0: not known */
	bool gap;		/* a batch that is not built begins at built_until, or may */
	bool not_here;		/* of a model that cannot be built here: its lag is nobody's */
	int64_t oldest_failure; /* of one model: when the first of the batches that are failed now has failed;
				   0: none is */
	size_t n_running, n_failures;
	struct report_mark running[REPORT_RUNNING];   /* the longest first */
	struct report_mark failures[REPORT_FAILURES]; /* the newest first */
};
void report_note(struct report_standing *s, slot of, const struct model *m, ordinal batch,
		 const struct batch_info *info);
void report_note_all(struct report_standing *into, const struct report_standing *from);

/* What became of a model's batches, for run_results.json. All zero: nothing is noted yet. */
struct report_outcomes {
	struct batch_set successful, failed; /* owned. What is built; what failed or was skipped */
	size_t skipped;			     /* of the failed ones */
	ordinal first_failed;		     /* failed, or where none is, skipped; valid where one is */
	int64_t rows, us;		     /* of the last builds, as far as they are known */
	int64_t started, finished;	     /* of the first and of the last of them; us, 0: not known */
};
/* existing: all that will be noted. -ENOMEM. */
int report_outcomes_init(struct report_outcomes *o, struct ordinal_range existing);
void report_outcomes_fini(struct report_outcomes *o);
void report_note_outcome(struct report_outcomes *o, ordinal batch, const struct batch_info *info);

/*
 * The counts of a model, kept until something in it changes, because counting a large model takes a while.
 * All zero: nothing is kept.
 */
struct report_kept {
	struct report_summary summary; /* of every batch that existed then, up to `end` */
	struct report_standing standing;
	struct batch_set build; /* what bringing it up to date builds; owned */
	struct state_runs states;
	struct report_outcomes outcomes;
	uint64_t generation; /* the generation of the model when it was counted; 0: nothing is kept */
	ordinal end;
};
/* Makes *k, which holds nothing, ready for counting what exists. -ENOMEM. */
int report_kept_init(struct report_kept *k, struct ordinal_range existing);
void report_kept_fini(struct report_kept *k); /* nothing is kept afterwards */

/* Where the documents find the texts of failures, and what time it is. */
struct report_source {
	int64_t now;
	void (*info)(void *ctx, slot model, ordinal batch, struct batch_info *out);
	void *ctx;
};
int report_status(const struct report_summary *s, const struct report_standing *standing,
		  const struct model *m, struct report_frozen *frozen, const struct report_refusal *refusal,
		  const struct report_source *source, struct strbuf *out);
/* A selected model that is not rebuilt, and why. */
struct report_not_rebuilt {
	const char *name, *why;
};
/*
 * The document of a selection, with what the selection does not rebuild. standing is NULL for the document of
 * its .run, m where several models are counted.
 */
int report_selection(const struct report_summary *s, const struct report_standing *standing,
		     const struct model *m, struct report_frozen *frozen,
		     const struct report_refusal *refusal, const struct report_source *source,
		     const struct report_not_rebuilt *not_rebuilt, size_t n_not_rebuilt, struct strbuf *out);

struct report_mount {
	const char *version, *engine, *store, *manifest,
		*warehouse_error; /* warehouse_error is NULL while the mount is connected */
	int64_t pid, since, loaded_at;
	int64_t manifest_wrong_at; /* 0: nothing is wrong with the manifest's file */
	const char *manifest_wrong;
};
/* What .status at the root says of one model. */
struct report_of_model {
	const struct model *model;
	const struct report_refusal *refusal; /* NULL: there is none */
	const struct report_summary *summary;
	const struct report_standing *standing;
};
/* all: of the models together; frozen lists the batches in the order of the models; refusal is the root's own
 */
int report_root(const struct report_summary *all, const struct report_of_model *models, size_t n,
		struct report_frozen *frozen, const struct report_refusal *refusal,
		const struct report_mount *mount, const struct report_source *source, struct strbuf *out);

/* Who protects a model against a full refresh. */
struct report_protection {
	bool by_config, by_mount;
	const struct requester *by; /* who has done so by chmod; NULL: nobody has */
	int64_t at;
};

/* What looks at a model's table have found. Times in us, 0: not known. */
struct report_look {
	const struct model *model;
	int64_t looked_at;
	int64_t found_at; /* of the last look that found something, or was the first */
	size_t adopted, gone;
	const char *why_not; /* NULL: nothing says that it cannot be looked at */
};
/* The document of .adopt. several: of a selection, or of the root. */
int report_looks(const struct report_look *looks, size_t n, bool several,
		 const struct report_refusal *refusal, struct strbuf *out);

struct report_model {
	const struct model *model;
	int64_t looked_at;    /* us; 0: not yet */
	int64_t compiled_at;  /* us, by the mount's clock: its SQL; nothing where it has none */
	const char *why_not;  /* NULL: the model can be built here */
	const char *builder;  /* who builds it then */
	const char *strategy; /* how a batch's rows are replaced here; NULL: as dbt does, not here */
	const char *notes;    /* of the store, a sentence a line; "": there is nothing to note */
	bool frozen;	      /* one of its batches is */
	enum time_type event_time_type;
	struct report_protection protection;
};
int report_model(const struct report_model *r, struct strbuf *out);

/* By what: config, mount, chmod; NULL: nothing protects it. */
const char *report_protected_by(const struct report_protection *p);

/* The documents of .full-refresh, of a model and of a selection. */
struct report_refresh {
	const struct model *model;
	struct report_protection protection;
	const struct ledger_refresh *refresh;
	struct refresh_count count;
	const struct report_summary *summary; /* of all of its batches, as if they were asked for */
	const struct report_refusal *refusal; /* NULL: there is none */
};
/* frozen: of the models, in their order. */
int report_full_refresh(const struct report_refresh *r, struct report_frozen *frozen,
			const struct report_refusal *refusal, struct strbuf *out);
int report_full_refreshes(const struct report_refresh *list, size_t n, struct report_frozen *frozen,
			  const struct report_refusal *refusal, struct strbuf *out);

/* One line of .history. */
int report_attempt(const struct model *m, const struct ended_attempt *a, struct strbuf *out);

#endif

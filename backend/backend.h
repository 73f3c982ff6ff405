/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The face of the backend: what fs/ sees of models and batches.
 *
 * Unless it says otherwise, every function may be called from any thread, answers
 * from memory and never waits for the warehouse. Functions that can fail return a
 * negative errno, whose sentence is kept as the file's last_refusal and logged.
 */
#ifndef BATCHFS_BACKEND_H
#define BATCHFS_BACKEND_H

#include <sys/types.h>

#include "backend/base/clock.h"
#include "backend/base/error.h"
#include "backend/base/log.h"
#include "backend/base/strbuf.h"
#include "backend/batch_state.h"
#include "backend/calendar.h"
#include "backend/slot.h"

struct backend;
struct engine;

struct backend_config {
	const struct log *log;
	struct clock *clock; /* follows those of other mounts */
	const struct engine *engine;
	const char *service, *role, *database;		       /* see engine_config; NULL: not given */
	const char *project, *profiles, *target, *dbt, *adopt; /* likewise */
	int timeout_s, jobs, drain_s;
	int look_s; /* how often a table is looked at for what others wrote; 0: only when somebody asks */
	bool read_only, protect;
	const char *version; /* of the program, for .status */
	size_t history;	     /* so many attempts of a model are kept, at least */
	int chunk; /* batches that are handed to a worker at once, at most; 0: as many as are worth it */
};

/*
 * Told of changes by the thread that made them, never by a thread that is inside a
 * function of this header and never with a lock held. The batches [first, end) of the
 * model may look different now.
 */
struct backend_listener {
	void *ctx;
	void (*changed)(void *ctx, slot model, struct ordinal_range batches);
	/* What was queued or running in [first, end) was cancelled: those who wait for it get ECANCELED.
	 * Before changed(). ran: an attempt was ended, or may have been; else all of it only waited. */
	void (*cancelled)(void *ctx, slot model, struct ordinal_range batches, bool ran);
	/* Another mount has cancelled or frozen these: whoever waits for one of them by now gets ECANCELED,
	 * whatever this mount has cancelled before. Before the cancelled() of what waits or runs of them. */
	void (*others_cancel)(void *ctx, slot model, struct ordinal_range batches);
	/* A new manifest: these have appeared, have gone, or have other batches, so that their names lead
	 * elsewhere, and selections select others. What else is different of a model comes as changed(). */
	void (*models)(void *ctx, const slot *models, size_t n);
};

struct catalog;

/*
 * Opens the warehouse, enlists the models, loads the states. Takes the catalog over, also
 * on failure. No thread is started. -errno with *err.
 */
int backend_open(const struct backend_config *config, struct catalog *catalog, struct backend **out,
		 struct error *err);

/* Starts control thread and workers. Once, after daemonising. The listener is copied. */
int backend_start(struct backend *b, const struct backend_listener *listener, struct error *err);

/*
 * Takes no request any more, lets what runs finish for drain_s seconds, puts the rest
 * back into the queue, ends the threads. Requests that are not answered yet get -ECANCELED.
 */
void backend_stop(struct backend *b);

/* Ends the drain of a backend_stop() that is under way, on another thread: what runs goes back to the queue
 * now. */
void backend_hurry(struct backend *b);

/* The manifest is read again at once, whatever its file looks like. Any thread, while the threads run. */
void backend_reload(struct backend *b);

/* After backend_stop(), or instead of backend_start(). NULL is fine. */
void backend_close(struct backend *b);

/*
 * Models are named by their slots, 0 .. backend_models() - 1; a slot's directory and batch size never change.
 * A new manifest brings new slots, and a model that it has no more is gone: its name resolves no more.
 */
int backend_models(const struct backend *b);
int backend_models_present(const struct backend *b); /* so many are not gone */
bool backend_gone(const struct backend *b, slot model);
slot backend_find(const struct backend *b, const char *dir); /* -1: none */
const char *backend_model_dir(const struct backend *b, slot model);
enum batch_size backend_batch_size(const struct backend *b, slot model);
bool backend_runnable(const struct backend *b, slot model);
/* Against a full refresh, by its config, the mount or a chmod. */
bool backend_protected(const struct backend *b, slot model);
bool backend_read_only(const struct backend *b);

/* What dbt's selection syntax names. */
struct backend_selection {
	slot *models; /* each behind all that it reads */
	size_t n_models;
	char **not_rebuilt; /* names of the selected models that are no microbatch models, sorted */
	size_t n_not_rebuilt;
};

/*
 * As `dbt ls --select EXPRESSION` answers, in which %2F stands for a slash. *out is to be given to
 * backend_selection_fini(). -ENOENT: no microbatch model is selected, said in *err. -EINVAL: not dbt's
 * syntax, or more than a manifest can tell, said in *err. -ENOMEM. *out is empty after a failure.
 */
int backend_select(const struct backend *b, const char *expression, struct backend_selection *out,
		   struct error *err);
void backend_selection_fini(struct backend_selection *s);

/* The batches that exist now. */
struct ordinal_range backend_existing(const struct backend *b, slot model);

/* What a listing and stat need of a batch. */
struct batch_glance {
	enum batch_state state;
	uint32_t attempt;
	int64_t built_at; /* us; 0: never */
	size_t size;	  /* of its document */
	bool writable;	  /* may be built: not frozen, for one */
};
/* -ENOENT where the batch does not exist now. */
int backend_glance(const struct backend *b, slot model, ordinal batch, struct batch_glance *out);

/*
 * n glances of neighbours from `first` in one go: for listings. The caller stays inside backend_existing().
 * Returns backend_generation() of that moment.
 */
uint64_t backend_glances(const struct backend *b, slot model, ordinal first, size_t n,
			 struct batch_glance *out);

/* Rises with every change of the model, before the listener is told of it. */
uint64_t backend_generation(const struct backend *b, slot model);

/* Of a range: mtime is the oldest build of what is built; 0: nothing is. */
int64_t backend_oldest_build(const struct backend *b, slot model, struct ordinal_range batches);

/* Last change of anything in the model, us. */
int64_t backend_changed_at(const struct backend *b, slot model);

/* Batches of one model: a range, all of them or those that are in one of some states at the moment of the
 * call. */
struct backend_part {
	slot model;
	struct ordinal_range batches;
	unsigned states; /* 1u << enum batch_state, SET_CHANGED; 0: whatever state they are in */
};

/* A file, as far as its document says what was refused of it. */
struct backend_file {
	slot model;		      /* SLOT_NONE: it is of no model */
	struct ordinal_range batches; /* of a batch, a range and a set; empty: it is none, or the directory */
	const char *selection;	      /* the selection that it is, or is in; NULL: none */
	const char *name;	      /* in the selection; NULL: it is the selection */
	bool full_refresh;	      /* it is .full-refresh */
	bool lookup; /* it is a name in that directory that is nothing's: nobody has asked for anything */
};

/*
 * A request to build. It is answered exactly once by done(), from another thread
 * (or, for what can be refused at once, before backend_request() returns): 0 when it
 * is durable, or -errno.
 */
struct backend_request {
	const struct backend_part *parts; /* copied */
	size_t n_parts;
	const struct backend_file
		*file; /* that it was made by, for what is refused at once; NULL: the parts */
	bool run;      /* of the parts only what bringing the models up to date builds (`dbt run`) */
	/*
	 * A full refresh of the parts' models, each of which is whole: of all or of none. -EPERM: one is
	 * protected, or a batch of it is frozen; -EBUSY: one is being refreshed. 0: it is under way.
	 */
	bool full;
	int expected; /* enum batch_state that a suffixed name claimed, single batches only; -1: none */
	uid_t uid;
	pid_t pid;	    /* who asks: /proc/PID/comm is read later; 0: unknown */
	const char *reason; /* copied; NULL: none */
	void (*done)(void *ctx, int result);
	void *ctx;
};
/* *ticket names it for backend_reason(). */
void backend_request(struct backend *b, const struct backend_request *r, uint64_t *ticket);

/*
 * Has the tables of the models looked at, now (else it only waits for first looks and for those that were
 * asked for). done() is called once, from another thread or before this returns, when those looks are over:
 * 0, or -ENODATA where none of the tables could be looked at. NULL: nobody waits.
 */
void backend_look(struct backend *b, const slot *models, size_t n, bool now,
		  void (*done)(void *ctx, int result), void *ctx);

/*
 * Waits for the full refreshes of the models that are under way. done() is called once, as above, when they
 * are over: 0, or of any -EIO (something failed, and was not built since), -ECANCELED, -ENODATA (there never
 * was one).
 */
void backend_refresh_wait(struct backend *b, const slot *models, size_t n,
			  void (*done)(void *ctx, int result), void *ctx);

/* Cancels those that are under way, as backend_cancel() does what is queued: what others wait for, too, stays
 * queued. 0, or -EPERM where none is, -EROFS. */
int backend_refresh_cancel(struct backend *b, const slot *models, size_t n, uid_t uid, pid_t pid);

/* How far those of the models have come, together: the ones that are under way, and the last ones of the
 * others. */
struct backend_refreshed {
	size_t batches, done, failed;
	size_t under_way, clearing; /* models */
	uint64_t rows;		    /* deleted by the clearing */
	int result;		    /* as backend_refresh_wait(), of those that are over */
};
void backend_refresh_count(const struct backend *b, const slot *models, size_t n,
			   struct backend_refreshed *out);

/*
 * For who is about to answer by states: done() is called once, from another thread or before this returns,
 * when it was seen whether the targets still are the tables that the states are of, or when nobody can see
 * that now.
 */
void backend_check(struct backend *b, void (*done)(void *ctx), void *ctx);

/*
 * Has the parts validated, anew. done() is called once, from another thread or before this returns: when that
 * is recorded durably, or (wait) when it is over, with what backend_wait_validated() answers; -errno: nothing
 * was recorded. What is asked for already and has not begun is enough.
 */
void backend_validate(struct backend *b, const struct backend_part *parts, size_t n_parts, bool wait,
		      void (*done)(void *ctx, int result), void *ctx);

/*
 * Waits until what was asked for by now, here or on another mount as far as that is known, is over. done() as
 * above: -EUCLEAN, the last reports of the parts have found something; 0, they have not; -ENODATA, there is
 * none; -ECANCELED, it was cancelled; -EIO, it came to no report.
 */
void backend_wait_validated(struct backend *b, const struct backend_part *parts, size_t n_parts,
			    void (*done)(void *ctx, int result), void *ctx);

/* Cancels what of the parts is to be validated or is being so: 0, or -EPERM: nothing is. */
int backend_cancel_validation(struct backend *b, const struct backend_part *parts, size_t n_parts);

/* What the last reports say: -EUCLEAN, 0, -ENODATA. */
int backend_validation_verdict(const struct backend *b, const struct backend_part *parts, size_t n_parts);

/*
 * The last reports, as a table for people or as JSON. several: of a selection, or of the root; single: of one
 * batch, named by itself.
 */
int backend_validation_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
				bool several, bool single, bool json, struct strbuf *out);

/* The table is still to be looked at, so that what its batches are is not known yet; or somebody has asked
 * for some by their states before that was known, and it is not recorded yet which those are. */
bool backend_looking(const struct backend *b, slot model);

/* Gives an earlier request its reason. done() as above. */
void backend_reason(struct backend *b, uint64_t ticket, const char *reason,
		    void (*done)(void *ctx, int result), void *ctx);

/*
 * Takes what is queued in the parts out of the queue and ends what runs; a batch goes back to the state it
 * had. Returns at once, when that is handed over: 0, or -EPERM where nothing is queued or running, -EROFS.
 */
int backend_cancel(struct backend *b, const struct backend_part *parts, size_t n_parts, uid_t uid, pid_t pid);

/*
 * Keeps the batches of the parts from being built, for every mount, or lifts that. What is queued of
 * them is taken out of the queue first. It is answered as a request is: 0, or -errno; -EBUSY: one of them
 * runs, and nothing was frozen (of several parts, those before the one where that was found out last may have
 * been).
 */
struct backend_freeze {
	const struct backend_part *parts; /* copied; no sets of states */
	size_t n_parts;
	const struct backend_file *file; /* as in backend_request */
	bool freeze;			 /* false: thaw */
	uid_t uid;
	pid_t pid;
	void (*done)(void *ctx, int result);
	void *ctx;
};
void backend_freeze(struct backend *b, const struct backend_freeze *f);

/* Protects the model against a full refresh, for every mount, or lifts that: f without its parts. -EPERM: its
 * config or this mount protects it. */
void backend_protect(struct backend *b, slot model, const struct backend_freeze *f);

/* Whether there are batches in the parts and all of them are frozen. */
bool backend_frozen(const struct backend *b, const struct backend_part *parts, size_t n_parts);

/* The first batches of the range that have failed or were skipped, neighbours with the same attempt number.
 * False: none has. */
struct backend_wrong {
	struct ordinal_range batches;
	uint32_t attempt;
};
bool backend_next_wrong(const struct backend *b, slot model, struct ordinal_range range,
			struct backend_wrong *out);

/* How many batches of the parts are in which state; of whole models it is remembered until something changes.
 */
void backend_count_states(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			  size_t counts[BATCH_STATES]);

/* How many batches the parts hold now. */
size_t backend_count(const struct backend *b, const struct backend_part *parts, size_t n_parts);

/*
 * The first batch of the range that is queued or running; range.end: all have settled.
 */
ordinal backend_next_unsettled(const struct backend *b, slot model, struct ordinal_range batches);

/*
 * What sync answers for what has settled: 0, -EIO (something failed or was skipped), -ENODATA (a single
 * batch that was never built, a `.pending` or `.unknown` set that is not empty, or where all is of one model
 * and something is unknown). single: they are one batch that was
 * named by itself; a range that holds no more is a range.
 */
int backend_verdict(const struct backend *b, const struct backend_part *parts, size_t n_parts, bool single);

/*
 * Keeps a refusal that fs/ decided, of what the user asked of the file, as its last_refusal, and logs it; of
 * a look-up at the debug level only. Returns -err.
 */
int backend_refuse(struct backend *b, const struct backend_file *file, uid_t uid, int err, const char *fmt,
		   ...) __attribute__((format(printf, 5, 6)));

#include "backend/documents.h"

#endif

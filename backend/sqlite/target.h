/* SPDX-License-Identifier: Apache-2.0 */
/* A look at a model's target and inputs as they are in the file now. */
#ifndef BATCHFS_SQLITE_TARGET_H
#define BATCHFS_SQLITE_TARGET_H

#include "backend/sqlite/warehouse.h"

/* "main"."identifier": a model of another schema is refused when it is enlisted. */
void target_name(struct strbuf *out, const struct model *model);

/* The event_time without its quotes, where it is a plain column; else NULL. Caller frees. */
char *bare_column(const char *event_time);

/* NULL-terminated names, to be freed each. NULL: no memory. */
char **columns_copy(char *const *columns);
void columns_free(char **columns);

struct target_view {
	bool exists, registered, known;
	int64_t table_id;     /* where registered */
	char **columns;	      /* where it exists; target_view_fini() frees it */
	enum time_type type;  /* TIME_UNKNOWN where it does not exist or that cannot be said */
	char other_sizes[32]; /* in which the table was built, too */
	bool indexed;	      /* an index leads with event_time */
	struct error why_not; /* err != 0: this table can never be built into */
};

/* registered_tables: FILE has batchfs_model. */
int target_look(sqlite3 *db, const struct model *model, bool registered_tables, struct target_view *out,
		struct error *err);
/* The same but for columns and type, which only its rows tell. *out: zeroed. */
int target_glance(sqlite3 *db, const struct model *model, bool registered_tables, struct target_view *out,
		  struct error *err);
/* The name of the trigger that marks the table of this id. out: of MARKER_MAX bytes. */
#define MARKER_MAX 64
void target_marker(int64_t table_id, char *out);
/* Whether the table carries this id's marker. */
int target_is_known(sqlite3 *db, const struct model *model, int64_t table_id, bool *known, struct error *err);
void target_view_fini(struct target_view *v);

/*
 * Types of the model's inputs, into types[model->n_inputs]. `of_target` stands in for inputs
 * that are no table (ephemerals). *last_us: the latest value of the first input with a
 * window, INT64_MIN: none. An unfit value: 0, TIME_UNSUPPORTED and *unfit.
 * A missing input stays TIME_UNKNOWN, *unfit says so.
 */
int input_look(sqlite3 *db, const struct model *model, enum time_type of_target, enum time_type *types,
	       int64_t *last_us, struct error *unfit, struct error *err);

/* Puts what was seen into the store's target, under its lock. Takes v->columns over. */
void target_learn(struct store *s, slot model, struct target_view *v);

/* Of its event_time, under the lock. */
enum time_type target_type(struct store *s, slot model);

/* Takes over `types` (may be NULL). */
void target_learn_inputs(struct store *s, struct edition *e, enum time_type *types);

/* A worker prepares it or meets it. */
void target_busy(struct store *s, slot model, bool begins);

/* What enlist, prepare and follow answer. */
void target_answer(const struct target_view *v, struct store_target *out);

#endif

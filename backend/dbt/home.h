/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount with engine=dbt has: the states in an SQLite file (the queue as a store by itself), and beside
 * it FILE-dbt/, with a directory for each worker: target/ and logs/ of its dbt, so that the user's own are
 * never touched, and a locked file, by which a dbt that a killed mount has left is found and ended.
 */
#ifndef BATCHFS_DBT_HOME_H
#define BATCHFS_DBT_HOME_H

#include "backend/sqlite/queue/queue.h"

struct home {
	struct store store;
	char *file;	 /* of the states */
	char *python;	 /* the interpreter of the dbt command, which is a Python script; NULL: it is none */
	uint64_t places; /* store.lock: bit i: a worker has the directory i */
	bool taken;	 /* store.lock: somebody runs a dbt that no other may run beside */
	pthread_cond_t free; /* store.lock: `taken` is false; monotonic */
};

static inline struct home *home_of(struct store *s)
{
	return (struct home *)((char *)s - offsetof(struct home, store));
}

/* As members of struct store_ops. */
int home_open(const struct engine_config *config, struct store **out, struct error *err);
void home_close(struct store *s);
int home_enlist(struct store *s, const struct model *const *models, struct store_target *targets, size_t n,
		struct error *err);
int home_load(struct store *s, const struct store_sink *sink, struct error *err);

/* What is known of the model's target without asking anybody. */
void home_target(struct store *s, slot model, struct store_target *out);

/*
 * A directory for a worker: *dir, to be freed, and *hold, a descriptor of its locked file, until
 * home_leave(). What still runs there of an earlier mount is ended first.
 */
int home_enter(struct store *s, int *place, char **dir, int *hold, struct error *err);
void home_leave(struct store *s, int place, int hold);

#endif

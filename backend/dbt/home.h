/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount has of dbt: which interpreter runs it, and a directory for each worker: target/ and logs/ of
 * its dbt, so that the user's own are never touched, and two locked files. `mount` is locked as long as a
 * worker of a mount has the directory, `lock` as long as anything lives that the worker has started. So
 * several mounts of one project share them, and a dbt that a killed mount has left is found and ended.
 */
#ifndef BATCHFS_DBT_HOME_H
#define BATCHFS_DBT_HOME_H

#include <pthread.h>

#include "backend/base/cleanup.h"
#include "backend/guest.h"

struct guest {
	struct engine_config config; /* immutable */
	char *dir;		     /* of the workers' directories; immutable */
	char *python; /* the interpreter of the dbt command, which is a Python script; NULL: it is none */
	pthread_mutex_t lock;
	bool abandoned;	     /* lock */
	bool taken;	     /* lock: somebody runs a dbt that no other may run beside */
	pthread_cond_t free; /* lock: `taken` is false; monotonic */
};

/* As members of struct guest_ops. */
int home_open(const struct engine_config *config, struct guest **out, struct error *err);
void home_close(struct guest *h);
void home_abandon(struct guest *h);

bool home_abandoned(struct guest *h);

/* The file of the states where they are kept beside dbt: the one that was given, or that of the project, its
 * profiles and its target in the user's state directory, which is made. To be freed. */
int home_states(const struct engine_config *config, char **out, struct error *err);

/*
 * A directory for a worker: *dir, to be freed, and what is locked in there, until home_leave(). What still
 * runs there of an earlier mount is ended first.
 */
struct place {
	int mount, hold; /* descriptors of both locked files; -1: none */
};
#define NO_PLACE ((struct place){-1, -1})
int home_enter(struct guest *h, struct place *place, char **dir, struct error *err);
void home_leave(struct place *place);

/* Ends what mounts have left that are no more, in any of the directories: before a batch of theirs is built.
 */
int home_end_left(struct guest *h, struct error *err);

#endif

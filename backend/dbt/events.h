/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dbt tells while it runs: a line of JSON an event (`--log-format json`), the same from the command and
 * from the resident program. This is the only place that knows how they look. Pure.
 */
#ifndef BATCHFS_DBT_EVENTS_H
#define BATCHFS_DBT_EVENTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_GARBAGE,	     /* no event at all */
	EVENT_OTHER,	     /* nothing that concerns a batch */
	EVENT_NODES,	     /* number: how many nodes will be run */
	EVENT_BATCH_STARTED, /* Q045 */
	EVENT_BATCH_ENDED,   /* Q046 */
	EVENT_ERROR,	     /* text: an error; of a batch: of the next one that ends in the same thread */
	EVENT_SHOWN,	     /* text: the rows of a query, as JSON */
	EVENT_READY,	     /* the resident program takes commands */
	EVENT_ENDED,	     /* number: the exit code of the command that it was given; negative: a signal */
};

/* How a batch ended, as dbt says. */
enum event_end { END_DONE, END_FAILED, END_SKIPPED };

/* Strings are never NULL, and live as long as the event. */
struct event {
	json_t *line; /* owned */
	enum event_kind kind;
	const char *invocation; /* dbt's id of the run */
	const char *thread;
	const char *unique_id, *relation; /* of the node */
	const char *batch;		  /* dbt's name of it, of batch_len bytes */
	size_t batch_len;
	enum event_end end;
	int64_t rows; /* as far as the adapter's status tells; -1: it does not */
	const char *text;
	int64_t number;
};

/* Of `len` bytes without the end of the line. event_fini() comes always. */
void event_parse(const char *line, size_t len, struct event *e);
void event_fini(struct event *e);

#define auto_event __attribute__((cleanup(event_fini))) struct event

#endif

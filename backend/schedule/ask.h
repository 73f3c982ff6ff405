/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way to the store, and who waits for its answer. */
#ifndef BATCHFS_SCHEDULE_ASK_H
#define BATCHFS_SCHEDULE_ASK_H

#include <sys/queue.h>

#include "backend/backend.h"
#include "backend/engine.h"
#include "backend/schedule/outcome.h"

/* What one call of backend.h asks for: one answer for all of its requests, when the last has been answered.
 */
struct ask_group {
	int members;	       /* atomic: its asks, and the one who makes it */
	int result;	       /* atomic: the first refusal */
	unsigned char name[8]; /* random: what the uuids of its requests begin with */
	void (*done)(void *ctx, int result);
	void *ctx;
};

STAILQ_HEAD(ask_queue, ask);
struct ask {
	STAILQ_ENTRY(ask) link;
	struct ask_queue then; /* sent once this one is recorded; refused as it is refused */
	struct ask_group *group;
	struct store_request request;
	uint64_t ticket;
	unsigned ticket_of; /* of the first of a group: how many there are */
	pid_t pid;
	char *reason;	   /* owns request.reason */
	int result;	   /* of ask_queue(), of one that it has refused */
	int64_t answer_by; /* monotonic: recorded, a freeze is answered by then */
	bool cleared;	   /* traits.clears_queue: what this mount had claimed in its range was taken back */
	struct outcome_queue
		cancelled; /* of a cancel: what waited, and is shown in its former state already */
};

/* A remembered ticket: backend_reason() comes soon after its request. */
struct ticket {
	uint64_t number;
	unsigned of;   /* of the first of a group: how many tickets it has */
	uint64_t next; /* of the first of a group: the first of another one of the same request; 0: none */
	unsigned char uuid[16];
	int64_t id;
	slot model;
};
#define TICKETS_KEPT 1024

/* A member of the group; NULL: no memory. ask_send() takes it over. done NULL: nobody waits. */
struct ask_group *group_new(void (*done)(void *ctx, int result), void *ctx);
void group_leave(struct ask_group *g, int result);
struct ask *ask_new(const struct backend *b, struct ask_group *g, slot model, const char *reason);
void ask_name(struct ask *a); /* gives it its uuid */
void ask_send(struct backend *b, struct ask *a);
/* All of them at once, so that they are recorded together. */
void ask_send_all(struct backend *b, struct ask_queue *asks);
/* With the lock: 0, or -errno, and the caller keeps it. */
int ask_queue(struct backend *b, struct ask *a);
/* Without the lock: answers it and frees it; what was to be sent after it is sent, or refused like it. */
void ask_end(struct backend *b, struct ask *a, int result);
/* With the lock. Where the ticket is remembered, unless a newer one has taken its place. */
struct ticket *ticket_slot(struct backend *b, uint64_t number);

#endif

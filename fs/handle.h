/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files. A handle is named by a number (slot and generation), which the kernel keeps as fh; one that is
 * not known any more counts as fresh. Handles are made, and what they hold is used, by the FUSE thread, or by
 * the thread that answers a parked request of them; they may be dropped from any thread as long as the kernel
 * does not have the number.
 */
#ifndef BATCHFS_FS_HANDLE_H
#define BATCHFS_FS_HANDLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/texts.h"

/* What writing has done so far. */
struct handle_writes {
	bool triggered; /* a request was made through it: no second one */
	bool reasoned;	/* it has got its text */
	uint64_t ticket;
};

struct handle_slot;
struct open_file;
struct progress;
struct backend_history;
struct backend_pages;

struct handles {
	pthread_mutex_t lock; /* for the following and the slots; before that of texts, after no other */
	struct handle_slot **slots;
	size_t n;
	struct handle_slot *free;
	struct open_file *files; /* by inode number */

	uint64_t made; /* texts, ever */

	struct texts texts; /* has a lock of its own */
};

void handles_init(struct handles *t);
void handles_fini(struct handles *t);

/* Of a file with that inode number, opened by that process. 0: no memory. */
uint64_t handle_new(struct handles *t, uint64_t ino, pid_t pid);
void handle_drop(struct handles *t, uint64_t fh);

/* Whether a file with that inode number is open, by that process; 0: by anybody. */
bool handle_is_open(struct handles *t, uint64_t ino, pid_t pid);

/*
 * Who opens a file, asks for its size and reads so much of it gets what he was told about: so a text that its
 * opener has not begun to read is made anew when he asks. This is the handle that the process has opened
 * last, if that is how it is with it; 0: there is none. Looks at the latest few only.
 */
uint64_t handle_unread(struct handles *t, uint64_t ino, pid_t pid);

/*
 * And who reads through the page cache, where the kernel's size decides what the end is, keeps it for as long
 * as he goes on: the size of the text that such a reader is in the midst of. False: there is none.
 */
bool handle_paged_size(struct handles *t, uint64_t ino, int64_t now_us, size_t *size);

/*
 * What a READ by way of the page cache may do. The pages that it fills are also those of who has opened the
 * file later, when its text was another one.
 */
enum paging {
	PAGING_SHARED,	/* there is nobody of that kind */
	PAGING_REFUSED, /* -EINVAL: it has not begun, and sendfile's users begin anew with read(2) */
	PAGING_ALONE,	/* to be answered: for a mapping, an error is a SIGBUS; but the pages must not stay */
};
enum paging handle_paging(struct handles *t, uint64_t fh);

/* The size of this handle's text. False: it has none. */
bool handle_size(struct handles *t, uint64_t fh, size_t *size);

/* A READ of its text up to the offset `end`, by way of the page cache or not. */
void handle_note_read(struct handles *t, uint64_t fh, size_t end, bool paged, int64_t now_us);

/* Takes the progress over; it lives until the handle is dropped. */
void handle_set_progress(struct handles *t, uint64_t fh, struct progress *p);

/* NULL: not known, or it is of another kind. */
struct progress *handle_progress(struct handles *t, uint64_t fh);

/* The same of an open .history. */
void handle_set_history(struct handles *t, uint64_t fh, struct backend_history *h);
struct backend_history *handle_history(struct handles *t, uint64_t fh);

/* What its readers get, in place of what they have got. Takes the text over; it lives until the next one, or
 * until the handle is dropped. */
void handle_set_text(struct handles *t, uint64_t fh, struct text *text);
bool handle_has_text(struct handles *t, uint64_t fh);

/* Appends at most `size` bytes from offset `off` on. -ENODATA: it has no text (yet). -ESTALE: it was taken
 * away. */
int handle_read_text(struct handles *t, uint64_t fh, size_t off, size_t size, struct strbuf *out);

/* The same of what is rendered as it is read; handle_pages() gives one more to be closed. */
void handle_set_pages(struct handles *t, uint64_t fh, struct backend_pages *pages);
struct backend_pages *handle_pages(struct handles *t, uint64_t fh);

/* False, and all zero, if it is not known. */
bool handle_writes(struct handles *t, uint64_t fh, struct handle_writes *out);
void handle_set_writes(struct handles *t, uint64_t fh, const struct handle_writes *w);
void handle_set_ticket(struct handles *t, uint64_t fh, uint64_t ticket);

/* What was done through it has failed, the request or only its reason: the next write may try again. */
void handle_undo(struct handles *t, uint64_t fh, bool only_reason);

#endif

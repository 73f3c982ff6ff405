/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of kernel requests that are answered later, and how they differ. Constant: any thread. */
#ifndef BATCHFS_FS_WAIT_KIND_H
#define BATCHFS_FS_WAIT_KIND_H

#include <stdbool.h>

/* A new kind needs its traits, and the compiler finds the switch that answers it. */
enum wait_kind {
	WAIT_OPEN,
	WAIT_GETATTR,
	WAIT_SIZE, /* a GETATTR of a .history */
	WAIT_TEXT, /* a READ of a document */
	WAIT_READ, /* of a .progress */
	WAIT_WRITE,
	WAIT_SETATTR,
	WAIT_FSYNC,
	WAIT_KINDS,
};

struct wait_traits {
	bool opens; /* its handle is known to the kernel only when it has been answered with 0 */
	/* The kernel holds the inode's lock meanwhile, and with that everybody who writes to the file. */
	bool holds_inode;
	bool for_batches; /* it waits for batches to settle, for as long as that takes */
	bool always;	  /* its time may be up: it is answered, whatever has become of what it waits for */
	bool brief;	  /* and that is soon: a listing asks */
};

const struct wait_traits *wait_traits(enum wait_kind kind);

#endif

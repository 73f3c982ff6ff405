/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_EXIT_CODE_H
#define BATCHFS_EXIT_CODE_H

/* What the program ends with; part of the contract (batchfs(1)). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_INTERNAL = 1,   /* the system refused something (memory, threads), or the mount broke */
	EXIT_USAGE = 2,	     /* the command line */
	EXIT_MANIFEST = 3,   /* cannot be read as a whole, or is for a warehouse we do not build in */
	EXIT_WAREHOUSE = 4,  /* does not answer, or refuses */
	EXIT_MOUNTPOINT = 5, /* missing, no directory, or mounted already */
	EXIT_FUSE = 6,	     /* no /dev/fuse, or the mount was denied */
};

#endif

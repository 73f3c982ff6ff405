/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_EXIT_CODE_H
#define BATCHFS_EXIT_CODE_H

/* What the program ends with; part of the contract (batchfs(1)). */
enum exit_code {
	EXIT_OK = 0,
	EXIT_INTERNAL = 1,  /* the system refused something (memory, threads), or the mount broke */
	EXIT_USAGE = 2,	    /* the command line is wrong */
	EXIT_MANIFEST = 3,  /* the manifest cannot be read as a whole, or is for a warehouse that batchfs does
			       not build in */
	EXIT_WAREHOUSE = 4, /* the warehouse does not answer, or refuses us */
	EXIT_MOUNTPOINT = 5, /* the mount point is missing, no directory, or mounted on already */
	EXIT_FUSE = 6,	     /* there is no /dev/fuse, or the mount was denied */
};

#endif

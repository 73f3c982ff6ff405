/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While a FSYNC, SETATTR or WRITE is answered, the kernel holds the lock of its inode, and whoever else needs
 * it waits where no signal reaches him: a second sync, touch, chmod; an rm with its directory locked, and
 * then ls. So what may take long is not done with an inode to which a name leads:
 *
 * - The OPEN or SETATTR of such an inode is answered ESTALE. The kernel then looks the name up again, for the
 *   same thread, which gets another inode (an alias, interned.h) that nobody else is given: the kernel may
 * keep neither the name nor the attributes. A thread that comes with the same inode a second time has no name
 * to look up (/proc/self/fd/N), and is served.
 * - What has an open file of a name's inode sends its FSYNC there all the same: a file that was opened before
 *   there was anything to wait for. While that is parked, the file counts as locked: the names that lead to
 * its inode are dropped, and who looks them up gets another one.
 *
 * Files are told apart by fs_file_key(). Thread-safe.
 */
#ifndef BATCHFS_FS_OWN_INODE_H
#define BATCHFS_FS_OWN_INODE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

/* So many threads are remembered, for so long: an answer of ESTALE is followed by a look-up at once. */
#define OWN_INODE_SENT_MAX 4096
#define OWN_INODE_SENT_US  (60 * INT64_C(1000000))

struct own_inode_sent;
struct own_inode_lock;
TAILQ_HEAD(own_inode_sent_list, own_inode_sent);

struct own_inodes {
	pthread_mutex_t lock; /* for everything below; innermost */
	struct own_inode_sent *sent;
	struct own_inode_sent_list by_age;
	struct own_inode_lock *locks;
};

void own_inodes_init(struct own_inodes *t);
void own_inodes_fini(struct own_inodes *t);

/*
 * The thread asks with an inode of a name. True: it is to be answered ESTALE, and is expected to look again.
 * 0 is every thread of the pid namespaces that are not to be seen from here: none of them is taken for one
 * that comes a second time, since it may be another.
 */
bool own_inode_send_back(struct own_inodes *t, uint64_t file, pid_t thread, int64_t now_us);

/* Whether who looks the file up is to get another inode. */
bool own_inode_is_due(struct own_inodes *t, uint64_t file, pid_t thread, int64_t now_us);

/* The thread has come back with an inode of its own. */
void own_inode_arrived(struct own_inodes *t, uint64_t file, pid_t thread);

/* The inode of the file's names is locked by a request that is parked, and no longer: as often. False: no
 * memory. */
bool own_inode_locked(struct own_inodes *t, uint64_t file);
void own_inode_unlocked(struct own_inodes *t, uint64_t file);
bool own_inode_is_locked(struct own_inodes *t, uint64_t file);
bool own_inode_some_locked(struct own_inodes *t);

#endif

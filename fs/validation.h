/* SPDX-License-Identifier: Apache-2.0 */
/* The reports of .validate, X.validate and their JSON: of whatever the node stands for. Any thread. */
#ifndef BATCHFS_FS_VALIDATION_H
#define BATCHFS_FS_VALIDATION_H

#include "backend/base/strbuf.h"
#include "fs/node.h"

struct fs;

/* -errno of fs_scope(). */
int validation_table(struct fs *fs, const struct node *n, struct strbuf *out);
int validation_json(struct fs *fs, const struct node *n, struct strbuf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_OPTION_TABLE_H
#define BATCHFS_OPTION_TABLE_H

#include <stddef.h>

#include "backend/engine.h"

enum option_kind {
	OPTION_TEXT,	     /* char * */
	OPTION_ENGINE,	     /* char *, the name of an engine */
	OPTION_NUMBER,	     /* long, min..max */
	OPTION_OCTAL,	     /* long, min..max */
	OPTION_USER,	     /* long, a number or a name */
	OPTION_GROUP,	     /* long, a number or a name */
	OPTION_TIME,	     /* int64_t, and the bool behind it */
	OPTION_ON,	     /* bool */
	OPTION_OFF,	     /* bool */
	OPTION_KERNEL,	     /* a word for libfuse */
	OPTION_KERNEL_VALUE, /* word=value for libfuse */
	OPTION_SUBTYPE,	     /* batchfs, and nothing else: mounts are known by it */
	OPTION_IGNORED,	     /* fstab's, for mount(8) and systemd */
};

struct option_rule {
	const char *name;
	enum option_kind kind;
	size_t offset;		   /* of the field in struct options */
	long min, max;		   /* of numbers */
	const char *value;	   /* what --help shows behind the '='; NULL: takes none */
	const char *help;	   /* NULL: not ours to explain */
	enum engine_option engine; /* it is for the engines that take it, a char *; 0: for every engine */
};

/* Ends with a rule without a name. */
extern const struct option_rule option_rules[];

/* The rule of the `len` bytes, or NULL. "x-..." and "comment=" count as ignored. */
const struct option_rule *option_find(const char *name, size_t len);

#endif

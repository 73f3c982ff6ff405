/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_OPTION_TABLE_H
#define BATCHFS_OPTION_TABLE_H

#include <stddef.h>

#include "backend/engine.h"

enum option_kind {
	OPTION_TEXT,	     /* char * */
	OPTION_ENGINE,	     /* char *, the name of an engine */
	OPTION_LOG,	     /* enum log_option, by its word */
	OPTION_NUMBER,	     /* long, min..max */
	OPTION_OCTAL,	     /* long, min..max */
	OPTION_USER,	     /* long, a number or a name */
	OPTION_GROUP,	     /* long, a number or a name */
	OPTION_TIME,	     /* int64_t, and the bool behind it */
	OPTION_ON,	     /* bool */
	OPTION_OFF,	     /* bool */
	OPTION_KERNEL,	     /* a word for libfuse */
	OPTION_KERNEL_VALUE, /* word=value for libfuse */
	OPTION_SUBTYPE,	     /* "batchfs" and nothing else, because mounts of ours are recognised by it */
	OPTION_IGNORED,	     /* words of fstab that only mount(8) and systemd need */
};

struct option_rule {
	const char *name;
	enum option_kind kind;
	size_t offset;		   /* where its field begins in struct options */
	long min, max;		   /* the range of a number */
	const char *value;	   /* what --help shows behind the '='; NULL: the option takes no value */
	const char *help;	   /* NULL: an option of libfuse or mount(8), whose manual explains it */
	enum engine_option engine; /* the option is a text for the engines that take this bit; 0: it is for
				      every engine */
};

/* The last rule has no name. */
extern const struct option_rule option_rules[];

/*
 * The rule for an option's name of `len` bytes; NULL: there is none. fstab's "x-..." and "comment=" have a
 * rule that ignores them.
 */
const struct option_rule *option_find(const char *name, size_t len);

#endif

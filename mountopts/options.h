/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: a table of options, the struct they fill, and what is wrong
 * with them in a sentence. Nothing here opens, connects or mounts.
 */
#ifndef BATCHFS_OPTIONS_H
#define BATCHFS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "backend/base/error.h"
#include "backend/base/strbuf.h"
#include "backend/engine.h"

#define JOBS_DEFAULT 2 /* an engine that builds fewer batches side by side gets fewer */

enum options_action {
	ACTION_MOUNT,
	ACTION_HELP,
	ACTION_VERSION,
	ACTION_FAKE, /* -f of mount(8): do everything but the mount itself */
};

/* Where the log goes, -o log=. */
enum log_option {
	LOG_BY_PLACE, /* not given: stderr in the foreground, syslog in the background */
	LOG_TO_STDERR,
	LOG_TO_JSON, /* stderr, too, a JSON object a line */
	LOG_TO_SYSLOG,
	LOG_OPTIONS,
};

/* The strings belong to it; options_fini() frees them. */
struct options {
	enum options_action action;
	char *manifest, *mountpoint;
	char *engine;			 /* NULL: from the manifest's adapter_type */
	char *store;			 /* NULL: the engine's first one */
	char *service, *role, *database; /* NULL: not given */
	char *project, *profiles, *target, *dbt, *adopt;
	long chunk;   /* 0: not given */
	char *fsname; /* what mount(8) shows as the device; NULL: the manifest */
	long jobs;    /* 0: not given */
	long timeout_s, drain_s;
	long look_s;  /* how often tables are looked at; 0: only when somebody asks; -1: not given */
	long history; /* how many attempts of a model are kept */
	bool read_only, sync, protect, allow_other;
	long uid, gid, umask; /* -1: not given */
	int64_t now_us;
	bool now_given;
	bool foreground, debug;
	enum log_option log;
	long ready_fd;	      /* 0: not given */
	struct strbuf kernel; /* options for libfuse and the kernel, joined by commas and escaped as libfuse
				 reads them */
};

/*
 * Fills *o, which options_fini() must free, also on failure. `engines` ends with NULL.
 * argv[0] of "mount.*" means that mount(8) calls: its own flags are understood then.
 * -EINVAL: *err names the option and what it accepts; never a value that may hold a password.
 */
int options_parse(int argc, char *const *argv, const struct engine *const *engines, struct options *o,
		  struct error *err);
void options_fini(struct options *o);

/*
 * Finds the engine that was asked for, else the one of the manifest's adapter_type (NULL is allowed), with
 * the store that was asked for; where the engine does not go with that one, with its own: options_settle()
 * says so. -ENOTSUP: there is no engine of that name.
 */
int options_engine(const struct options *o, const struct engine *const *engines, const char *adapter_type,
		   const struct engine **out, struct error *err);

/*
 * Checks that the engine understands the options that were given and has those that it needs; sets jobs,
 * whose default depends on the engine. -EINVAL as above.
 */
int options_settle(struct options *o, const struct engine *engine, struct error *err);

/* Appends the text of --help. */
void options_help(const struct engine *const *engines, struct strbuf *out);

/* Appends the engines' names: "postgres, sqlite". */
void options_engine_names(const struct engine *const *engines, struct strbuf *out);

#endif

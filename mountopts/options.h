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

#define JOBS_DEFAULT 2 /* fewer where the engine cannot */

enum options_action {
	ACTION_MOUNT,
	ACTION_HELP,
	ACTION_VERSION,
	ACTION_FAKE, /* mount(8)'s -f: everything but the mount */
};

/* Strings are owned; options_fini() frees them. */
struct options {
	enum options_action action;
	char *manifest, *mountpoint;
	char *engine;			 /* NULL: from the manifest's adapter_type */
	char *service, *role, *database; /* NULL: not given */
	char *fsname;			 /* what mount(8) shows as the device; NULL: the manifest */
	long jobs;			 /* 0: not given */
	long timeout_s, drain_s;
	long history; /* attempts of a model that are kept */
	bool read_only, sync, protect, allow_other;
	long uid, gid, umask; /* -1: not given */
	int64_t now_us;
	bool now_given;
	bool foreground, debug;
	struct strbuf kernel; /* libfuse's own, joined by commas, each escaped as libfuse reads them */
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
 * The engine that was asked for, else the one of the manifest's adapter_type (NULL is allowed).
 * -ENOTSUP: there is none of that type.
 */
int options_engine(const struct options *o, const struct engine *const *engines, const char *adapter_type,
		   const struct engine **out, struct error *err);

/* Whether the options fit the engine; sets what depends on it (jobs). -EINVAL as above. */
int options_settle(struct options *o, const struct engine *engine, struct error *err);

/* The text of --help. */
void options_help(const struct engine *const *engines, struct strbuf *out);

/* "postgres, sqlite" */
void options_engine_names(const struct engine *const *engines, struct strbuf *out);

#endif

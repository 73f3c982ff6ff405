/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/option_table.h"

#include <limits.h>
#include <string.h>
#include <strings.h>

#include "mountopts/options.h"

#define OURS(name_, kind_, field, min_, max_, value_, help_)                                                 \
	{                                                                                                    \
		.name = (name_), .kind = (kind_), .offset = offsetof(struct options, field), .min = (min_),  \
		.max = (max_), .value = (value_), .help = (help_)                                            \
	}
#define ENGINES(name_, field_, engine_, value_, help_)                                                       \
	{                                                                                                    \
		.name = (name_), .kind = OPTION_TEXT, .offset = offsetof(struct options, field_),            \
		.value = (value_), .help = (help_), .engine = (engine_)                                      \
	}
#define THEIRS(name_, kind_)                                                                                 \
	{                                                                                                    \
		.name = (name_), .kind = (kind_)                                                             \
	}

#define ID_MAX 4294967294L /* the largest user id: (uid_t)-1 means "no user" */

const struct option_rule option_rules[] = {
	OURS("engine", OPTION_ENGINE, engine, 0, 0, "NAME",
	     "the warehouse; default: the manifest's adapter_type"),
	OURS("store", OPTION_TEXT, store, 0, 0, "NAME",
	     "sqlite or postgres: what keeps the states (dbt: sqlite)"),
	ENGINES("service", service, ENGINE_SERVICE, "NAME", "an entry of the libpq service file"),
	ENGINES("role", role, ENGINE_ROLE, "NAME", "SET ROLE to it"),
	ENGINES("database", database, ENGINE_DATABASE, "FILE", "the database file; dbt: of the states"),
	ENGINES("project", project, ENGINE_PROJECT, "DIR", "the directory of the dbt project"),
	ENGINES("profiles", profiles, ENGINE_PROFILES, "DIR", "where profiles.yml is (as dbt finds it)"),
	ENGINES("target", target, ENGINE_TARGET, "NAME", "the profile's target (its default)"),
	ENGINES("dbt", dbt, ENGINE_DBT, "COMMAND", "what runs dbt (dbt)"),
	ENGINES("adopt", adopt, ENGINE_ADOPT, "FILE", "a run_results.json, instead of the first look"),
	{.name = "chunk",
	 .kind = OPTION_NUMBER,
	 .offset = offsetof(struct options, chunk),
	 .min = 1,
	 .max = 1000000,
	 .value = "N",
	 .help = "batches a run of dbt, at most (as measured)",
	 .engine = ENGINE_CHUNK},
	OURS("jobs", OPTION_NUMBER, jobs, 1, 256, "N", "batches built side by side (2)"),
	OURS("timeout", OPTION_NUMBER, timeout_s, 1, 3600, "SECONDS",
	     "how long a request waits for the warehouse (10)"),
	OURS("drain", OPTION_NUMBER, drain_s, 0, 86400, "SECONDS",
	     "how long SIGTERM lets running batches finish (10)"),
	OURS("look", OPTION_NUMBER, look_s, 0, 86400, "SECONDS",
	     "how often tables are looked at for what others wrote (60; dbt: 0, when asked)"),
	OURS("history", OPTION_NUMBER, history, 1, 1000000, "N",
	     "attempts of a model that .history keeps (10000)"),
	OURS("ro", OPTION_ON, read_only, 0, 0, NULL, "refuse every request, write nothing to the warehouse"),
	OURS("sync", OPTION_ON, sync, 0, 0, NULL, "touch and write wait for the batch, and fail with it"),
	OURS("protect", OPTION_ON, protect, 0, 0, NULL, "no model of this mount may be rebuilt as a whole"),
	OURS("allow_other", OPTION_ON, allow_other, 0, 0, NULL,
	     "other users may use the mount, as the mode bits say"),
	OURS("uid", OPTION_USER, uid, 0, ID_MAX, "USER",
	     "owner of the files, a number or a name (who mounts)"),
	OURS("gid", OPTION_GROUP, gid, 0, ID_MAX, "GROUP",
	     "group of the files, a number or a name (who mounts)"),
	OURS("umask", OPTION_OCTAL, umask, 0, 0777, "MODE",
	     "octal: the mode bits that the files do not get (022)"),
	OURS("now", OPTION_TIME, now_us, 0, 0, "TIME",
	     "ISO 8601: the clock starts there and runs on (tests, demos)"),
	OURS("log", OPTION_LOG, log, 0, 0, "WHERE",
	     "stderr, syslog or json: lines of JSON on stderr (-f: stderr, else syslog)"),
	OURS("ready_fd", OPTION_NUMBER, ready_fd, 1, INT_MAX, "N",
	     "an open descriptor that gets a line when the mount answers"),
	OURS("rw", OPTION_OFF, read_only, 0, 0, NULL, NULL),
	OURS("async", OPTION_OFF, sync, 0, 0, NULL, NULL),
	OURS("fsname", OPTION_TEXT, fsname, 0, 0, "TEXT", NULL),
	THEIRS("subtype", OPTION_SUBTYPE),
	THEIRS("max_read", OPTION_KERNEL_VALUE),
	THEIRS("context", OPTION_KERNEL_VALUE),
	THEIRS("fscontext", OPTION_KERNEL_VALUE),
	THEIRS("defcontext", OPTION_KERNEL_VALUE),
	THEIRS("rootcontext", OPTION_KERNEL_VALUE),
	THEIRS("auto_unmount", OPTION_KERNEL),
	THEIRS("allow_root", OPTION_KERNEL),
	THEIRS("suid", OPTION_KERNEL),
	THEIRS("nosuid", OPTION_KERNEL),
	THEIRS("dev", OPTION_KERNEL),
	THEIRS("nodev", OPTION_KERNEL),
	THEIRS("exec", OPTION_KERNEL),
	THEIRS("noexec", OPTION_KERNEL),
	THEIRS("atime", OPTION_KERNEL),
	THEIRS("noatime", OPTION_KERNEL),
	/* Every mount has it, because the mode bits are part of the contract with the user. */
	THEIRS("default_permissions", OPTION_IGNORED),
	THEIRS("defaults", OPTION_IGNORED),
	THEIRS("auto", OPTION_IGNORED),
	THEIRS("noauto", OPTION_IGNORED),
	THEIRS("user", OPTION_IGNORED),
	THEIRS("nouser", OPTION_IGNORED),
	THEIRS("users", OPTION_IGNORED),
	THEIRS("owner", OPTION_IGNORED),
	THEIRS("group", OPTION_IGNORED),
	THEIRS("_netdev", OPTION_IGNORED),
	THEIRS("nofail", OPTION_IGNORED),
	THEIRS("silent", OPTION_IGNORED),
	THEIRS("loud", OPTION_IGNORED),
	THEIRS("relatime", OPTION_IGNORED),
	THEIRS("norelatime", OPTION_IGNORED),
	THEIRS("strictatime", OPTION_IGNORED),
	THEIRS("nostrictatime", OPTION_IGNORED),
	THEIRS("lazytime", OPTION_IGNORED),
	THEIRS("nolazytime", OPTION_IGNORED),
	THEIRS("diratime", OPTION_IGNORED),
	THEIRS("nodiratime", OPTION_IGNORED),
	{.name = NULL},
};

static const struct option_rule for_others = {.name = "x-*", .kind = OPTION_IGNORED};

const struct option_rule *option_find(const char *name, size_t len)
{
	for (const struct option_rule *r = option_rules; r->name; r++)
		if (strlen(r->name) == len && !strncmp(r->name, name, len))
			return r;
	if (len >= 2 && !strncasecmp(name, "x-", 2))
		return &for_others;
	if (len == strlen("comment") && !strncmp(name, "comment", len))
		return &for_others;
	return NULL;
}

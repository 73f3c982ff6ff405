/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/program.h"

#define FUSE_USE_VERSION 312
#include <fuse_opt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "backend/backend.h"
#include "backend/base/cleanup.h"
#include "backend/manifest.h"
#include "fs/fs.h"
#include "mountopts/exit_code.h"
#include "mountopts/launch.h"
#include "mountopts/log_target.h"
#include "mountopts/mountpoint.h"
#include "mountopts/options.h"
#include "mountopts/serve.h"
#include "mountopts/supervisor.h"

struct program {
	struct options o;
	struct engine engine; /* with its guest, if it has one */
	struct log log;
	struct clock clock;
	struct catalog *catalog; /* ours until backend_open() takes it over */
	char *source;		 /* the manifest's absolute path, which mount(8) shows as the device */
	struct launch launch;
	struct mountpoint mountpoint;
	struct supervisor supervisor;
	struct backend *backend;
	struct fs *fs;
};

/* On stderr, wherever the log goes later: the program has not gone into the background yet, and will not. */
static struct log person(const struct program *p)
{
	struct log log = {.level = LOG_LEVEL_INFO};
	if (p->o.log == LOG_TO_JSON)
		log.form = LOG_FORM_JSON;
	return log;
}

static int fail(const struct program *p, enum exit_code code, const struct error *err)
{
	static const char *const hints[] = {
		[EXIT_USAGE] = "batchfs --help lists the options",
		[EXIT_MANIFEST] =
			"give the manifest.json that `dbt compile` wrote, or its directory (mostly target/)",
		[EXIT_MOUNTPOINT] = "a mount point is an existing directory that nothing else is using",
		[EXIT_FUSE] = "FUSE needs /dev/fuse, and root or fusermount3; in a container: --device "
			      "/dev/fuse --cap-add SYS_ADMIN",
	};
	const struct log log = person(p);
	log_error(&log, "%s", err->text);
	if (code < sizeof hints / sizeof hints[0] && hints[code])
		log_info(&log, "%s", hints[code]);
	return code;
}

static int fail_warehouse(const struct program *p, const struct error *err)
{
	const struct log log = person(p);
	const struct engine_config config = {
		.service = p->o.service, .role = p->o.role, .database = p->o.database};
	int code = fail(p, EXIT_WAREHOUSE, err);
	auto_strbuf hint = STRBUF_INIT;
	if (p->engine.hint)
		p->engine.hint(&config, err->err, &hint);
	if (hint.len)
		log_info(&log, "%s", hint.str);
	return code;
}

static enum exit_code code_of_mount(int rc)
{
	switch (-rc) {
	case ENOENT:
	case ENOTDIR:
	case ENOTCONN:
	case EBADF:
	case EBUSY:
		return EXIT_MOUNTPOINT;
	case ENODEV:
	case EACCES:
	case EPERM:
		return EXIT_FUSE;
	case EINVAL:
		return EXIT_USAGE;
	default:
		return EXIT_INTERNAL;
	}
}

/* The daemon changes to /, so a path that is relative to the user's directory is made absolute before. */
static int make_absolute(char **path, struct error *err)
{
	if (!*path || **path == '/')
		return 0;
	auto_free char *here = getcwd(NULL, 0);
	char *whole = NULL;
	if (!here || asprintf(&whole, "%s/%s", here, *path) < 0)
		return error_set(err, errno, "%s: %s", *path, strerror(errno));
	free(*path);
	*path = whole;
	return 0;
}

static int make_paths_absolute(struct options *o, struct error *err)
{
	char **const paths[] = {&o->database, &o->manifest, &o->project, &o->profiles, &o->adopt};
	int rc = 0;
	for (size_t i = 0; !rc && i < sizeof paths / sizeof *paths; i++)
		rc = make_absolute(paths[i], err);
	/* A command without a slash is looked for in PATH. */
	if (!rc && o->dbt && strchr(o->dbt, '/'))
		rc = make_absolute(&o->dbt, err);
	return rc;
}

/* dbt is started in its project's directory, and would look for a relative one there. */
static int make_environment_absolute(struct error *err)
{
	const char *typed = getenv("DBT_PROFILES_DIR");
	if (!typed || !*typed)
		return 0;
	auto_free char *path = strdup(typed);
	int rc = path ? make_absolute(&path, err) : error_set(err, ENOMEM, "no memory");
	if (rc == 0 && setenv("DBT_PROFILES_DIR", path, true))
		rc = error_set(err, errno, "DBT_PROFILES_DIR=%s: %s", path, strerror(errno));
	return rc;
}

/* Does all that needs no warehouse, while messages still reach the person who typed the command. */
static int prepare(struct program *p, const struct engine *const *engines)
{
	struct error err = {0};
	const struct engine *engine;
	if (supervisor_take_fd(&p->supervisor, p->o.ready_fd, p->o.mountpoint, &err))
		return fail(p, EXIT_USAGE, &err);
	if (launch_guard_stdio(&err) || make_paths_absolute(&p->o, &err) || make_environment_absolute(&err))
		return fail(p, EXIT_INTERNAL, &err);
	p->log = person(p);
	if (p->o.debug)
		p->log.level = LOG_LEVEL_DEBUG;
	if (p->o.now_given)
		p->clock = clock_starting_at(p->o.now_us);
	p->source = realpath(p->o.manifest, NULL);
	/* By the name that was given, because a link may lead to another file later. */
	if (manifest_load(p->o.manifest, &p->log, &p->catalog, &err) ||
	    options_engine(&p->o, engines, p->catalog->adapter_type, &engine, &err))
		return fail(p, EXIT_MANIFEST, &err);
	if (options_settle(&p->o, engine, &err))
		return fail(p, EXIT_USAGE, &err);
	p->engine = *engine;
	if (p->o.project)
		p->engine.guest = &guest_dbt;
	return EXIT_OK;
}

static int open_warehouse(struct program *p, struct error *err)
{
	const struct backend_config config = {
		.log = &p->log,
		.clock = &p->clock,
		.engine = &p->engine,
		.service = p->o.service,
		.role = p->o.role,
		.database = p->o.database,
		.project = p->o.project,
		.profiles = p->o.profiles,
		.target = p->o.target,
		.adopt = p->o.adopt,
		.dbt = p->o.dbt ? p->o.dbt : "dbt",
		.chunk = (int)p->o.chunk,
		.timeout_s = (int)p->o.timeout_s,
		.jobs = (int)p->o.jobs,
		.drain_s = (int)p->o.drain_s,
		.look_s = (int)p->o.look_s,
		.history = (size_t)p->o.history,
		.read_only = p->o.read_only,
		.protect = p->o.protect,
		.version = BATCHFS_VERSION,
	};
	return backend_open(&config, steal(&p->catalog), &p->backend, err);
}

static int open_fs(struct program *p, struct error *err)
{
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	int rc = fuse_opt_add_arg(&args, "batchfs");
	if (!rc && p->o.kernel.len)
		rc = fuse_opt_add_arg(&args, "-o") || fuse_opt_add_arg(&args, p->o.kernel.str);
	const struct fs_config config = {
		.backend = p->backend,
		.log = &p->log,
		.mountpoint = p->mountpoint.path,
		.source = p->o.fsname ? p->o.fsname : p->source,
		.args = &args,
		.uid = p->o.uid >= 0 ? (uid_t)p->o.uid : getuid(),
		.gid = p->o.gid >= 0 ? (gid_t)p->o.gid : getgid(),
		.umask = p->o.umask >= 0 ? (mode_t)p->o.umask : 022,
		.sync = p->o.sync,
		.allow_other = p->o.allow_other,
		.debug = p->o.debug,
		.timeout_s = (int)p->o.timeout_s,
	};
	rc = rc ? error_set(err, ENOMEM, "out of memory") : fs_open(&config, &p->fs, err);
	fuse_opt_free_args(&args);
	return rc;
}

/*
 * Nothing that we start (dbt, mostly) has the capability by which a service manager may have let us mount,
 * nor gains rights by a setuid program from here on. Only a user whose mount fusermount3 has made needs that
 * program again, for the unmount.
 */
static void give_up_privileges(const struct program *p)
{
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (geteuid() != 0 && !p->mountpoint.passed_in)
		return;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		log_warning(&p->log, "no_new_privs: %s", strerror(errno));
}

/* From here on the file system is mounted, and every way out of run() unmounts it. */
static int serve(struct program *p)
{
	struct error err = {0};
	struct backend_listener listener;
	mountpoint_announce(&p->mountpoint, &p->log);
	give_up_privileges(p);
	if (!p->o.foreground || p->o.log == LOG_TO_SYSLOG)
		log_target_background(p->o.log, &p->log);
	fs_listener(p->fs, &listener);
	if (backend_start(p->backend, &listener, &err))
		return fail(p, EXIT_INTERNAL, &err);
	struct serve s = {
		.log = &p->log,
		.fs = p->fs,
		.backend = p->backend,
		.launch = &p->launch,
		.mountpoint = &p->mountpoint,
		.supervisor = &p->supervisor,
		.drain_s = (int)p->o.drain_s,
	};
	if (fs_start(p->fs, &err)) {
		backend_stop(p->backend);
		return fail(p, EXIT_INTERNAL, &err);
	}
	if (serve_run(&s, &err)) {
		log_error(&p->log, "%s", err.text);
		return EXIT_INTERNAL;
	}
	return EXIT_OK;
}

static int run(struct program *p)
{
	struct error err = {0};
	int rc = mountpoint_take(p->o.mountpoint, &p->log, &p->mountpoint, &err);
	if (rc)
		return fail(p, EXIT_MOUNTPOINT, &err);
	supervisor_find(&p->supervisor, !p->o.foreground);
	if (!p->o.foreground && chdir("/"))
		log_warning(&p->log, "chdir /: %s", strerror(errno));
	if (open_warehouse(p, &err))
		return fail_warehouse(p, &err);
	if (serve_block_signals(&err))
		return fail(p, EXIT_INTERNAL, &err);
	rc = open_fs(p, &err);
	if (rc)
		return fail(p, code_of_mount(rc), &err);
	int code = serve(p);
	/* The door closes before the unmount, because the next mount may get our device number at once. */
	mountpoint_withdraw(&p->mountpoint);
	rc = fs_close(steal(&p->fs));
	if (rc && code == EXIT_OK) {
		log_error(&p->log, "%s: the mount broke: %s", p->mountpoint.path, strerror(-rc));
		code = EXIT_INTERNAL;
	}
	return code;
}

static void program_fini(struct program *p)
{
	backend_close(p->backend);
	mountpoint_fini(&p->mountpoint);
	supervisor_fini(&p->supervisor);
	catalog_free(p->catalog);
	free(p->source);
	options_fini(&p->o);
	if (p->log.fd)
		close(p->log.fd);
}

static int print_help(const struct engine *const *engines)
{
	auto_strbuf text = STRBUF_INIT;
	options_help(engines, &text);
	return fputs(text.str, stdout) < 0 || fflush(stdout) ? EXIT_INTERNAL : EXIT_OK;
}

int batchfs_main(int argc, char **argv, const struct engine *const *engines)
{
	struct program p = {
		.launch = {.fd = -1}, .mountpoint = {.dir = -1, .door = -1}, .supervisor = SUPERVISOR_NONE};
	struct error err = {0};
	int code;
	if (options_parse(argc, argv, engines, &p.o, &err)) {
		code = fail(&p, EXIT_USAGE, &err);
	} else if (p.o.action == ACTION_HELP) {
		code = print_help(engines);
	} else if (p.o.action == ACTION_VERSION) {
		code = puts("batchfs " BATCHFS_VERSION) < 0 || fflush(stdout) ? EXIT_INTERNAL : EXIT_OK;
	} else {
		code = prepare(&p, engines);
		int parent = 0;
		if (code == EXIT_OK && p.o.action == ACTION_MOUNT && !p.o.foreground)
			parent = launch_fork(&p.launch, &code, &err);
		if (parent < 0)
			code = fail(&p, EXIT_INTERNAL, &err);
		else if (code == EXIT_OK && p.o.action == ACTION_MOUNT && !parent)
			code = run(&p);
	}
	program_fini(&p);
	return code;
}

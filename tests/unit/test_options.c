/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "mountopts/mountinfo.h"
#include "mountopts/option_table.h"
#include "mountopts/options.h"
#include "backend/base/peer.h"

static const struct engine big = {.name = "postgres",
				  .takes = ENGINE_SERVICE | ENGINE_ROLE | ENGINE_OF_GUEST,
				  .given_by = "service=NAME"};
static const struct engine small = {.name = "sqlite",
				    .takes = ENGINE_DATABASE,
				    .needs = ENGINE_DATABASE,
				    .given_by = "database=FILE",
				    .max_jobs = 1};
static const struct engine other = {.name = "dbt",
				    .takes = ENGINE_PROJECT | ENGINE_CHUNK,
				    .needs = ENGINE_PROJECT,
				    .given_by = "project=DIR",
				    .jobs_default = 3,
				    .asked_looks = true};
static const struct engine *const engines[] = {&big, &small, NULL};

static int parse(struct options *o, struct error *err, const char *argv0, const char *const *rest)
{
	const char *argv[16] = {argv0};
	int argc = 1;
	for (; rest && rest[argc - 1] && argc < 16; argc++)
		argv[argc] = rest[argc - 1];
	return options_parse(argc, (char *const *)argv, engines, o, err);
}

#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static int with_list(struct options *o, struct error *err, const char *list)
{
	return parse(o, err, "batchfs", ARGS("target", "/mnt", "-o", list));
}

/* The list is refused, and the message holds `part`. */
static void refused(const char *list, const char *part)
{
	struct options o;
	struct error err = {0};
	assert_int_equal(with_list(&o, &err, list), -EINVAL);
	if (!strstr(err.text, part))
		fail_msg("%s: \"%s\" does not hold \"%s\"", list, err.text, part);
	options_fini(&o);
}

static void test_defaults(void **state)
{
	(void)state;
	struct options o;
	assert_int_equal(parse(&o, NULL, "batchfs", ARGS("target", "/mnt")), 0);
	assert_int_equal(o.action, ACTION_MOUNT);
	assert_string_equal(o.manifest, "target");
	assert_string_equal(o.mountpoint, "/mnt");
	assert_null(o.engine);
	assert_int_equal(o.timeout_s, 10);
	assert_int_equal(o.drain_s, 10);
	assert_int_equal(o.history, 10000);
	assert_int_equal(o.uid, -1);
	assert_int_equal(o.umask, -1);
	assert_false(o.foreground || o.debug || o.read_only || o.sync || o.protect || o.allow_other ||
		     o.now_given);
	assert_int_equal(o.kernel.len, 0);
	options_fini(&o);
}

static void test_every_option(void **state)
{
	(void)state;
	struct options o;
	const char *list = "engine=postgres,service=wh,role=etl,jobs=4,timeout=3,drain=0,history=7,ro,sync,"
			   "protect,allow_other,"
			   "uid=1000,gid=root,umask=0027,now=2024-09-04T12:00:00+02:00,fsname=x";
	assert_int_equal(with_list(&o, NULL, list), 0);
	assert_string_equal(o.engine, "postgres");
	assert_string_equal(o.service, "wh");
	assert_string_equal(o.role, "etl");
	assert_string_equal(o.fsname, "x");
	assert_int_equal(o.jobs, 4);
	assert_int_equal(o.timeout_s, 3);
	assert_int_equal(o.drain_s, 0);
	assert_int_equal(o.history, 7);
	assert_true(o.read_only && o.sync && o.protect && o.allow_other && o.now_given);
	assert_int_equal(o.uid, 1000);
	assert_int_equal(o.gid, 0);
	assert_int_equal(o.umask, 027);
	assert_int_equal(o.now_us, 1725444000000000); /* 2024-09-04T10:00:00Z */
	options_fini(&o);
}

static void test_places(void **state)
{
	(void)state;
	struct options o;
	assert_int_equal(
		parse(&o, NULL, "batchfs", ARGS("-oro", "-f", "target", "-o", "jobs=1", "/mnt", "-o", "rw")),
		0);
	assert_true(o.foreground);
	assert_false(o.debug || o.read_only);
	assert_int_equal(o.jobs, 1);
	options_fini(&o);
	assert_int_equal(parse(&o, NULL, "batchfs", ARGS("-do", "ro", "--", "-target", "-f")), 0);
	assert_true(o.foreground && o.debug && o.read_only);
	assert_string_equal(o.manifest, "-target");
	assert_string_equal(o.mountpoint, "-f");
	options_fini(&o);
}

static void test_usage(void **state)
{
	(void)state;
	struct options o;
	struct error err = {0};
	static const char *const bad[][4] = {
		{NULL},
		{"target", NULL},
		{"", "/mnt", NULL},
		{"target", "/mnt", "more", NULL},
		{"target", "/mnt", "-x", NULL},
		{"target", "/mnt", "--jobs=2", NULL},
		{"target", "/mnt", "-o", NULL},
		{"target", "/mnt", "-t", NULL},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		err.err = 0;
		assert_int_equal(parse(&o, &err, "batchfs", bad[i]), -EINVAL);
		assert_int_equal(err.err, EINVAL);
		options_fini(&o);
	}
	assert_int_equal(parse(&o, &err, "batchfs", ARGS("--help", "-x")), 0);
	assert_int_equal(o.action, ACTION_HELP);
	options_fini(&o);
	assert_int_equal(parse(&o, &err, "batchfs", ARGS("-V")), 0);
	assert_int_equal(o.action, ACTION_VERSION);
	options_fini(&o);
}

static void test_bad_values_name_what_is_accepted(void **state)
{
	(void)state;
	refused("engine=dbt", "engine=dbt: one of postgres, sqlite");
	refused("engine=", "engine needs a value");
	refused("engine", "engine needs a value");
	refused("jobs=0", "jobs=0: a whole number from 1 to");
	refused("jobs=two", "jobs=two");
	refused("jobs=2x", "jobs=2x");
	refused("jobs=+2", "jobs=+2");
	refused("jobs= 2", "whole number");
	refused("jobs=99999999999999999999", "whole number");
	refused("timeout=0", "timeout=0");
	refused("drain=-1", "drain=-1");
	refused("umask=8", "octal number from 0 to 777");
	refused("umask=1000", "umask=1000");
	refused("uid=nobody-of-that-name", "no such user");
	refused("gid=4294967295", "gid=4294967295");
	refused("now=yesterday", "ISO 8601");
	refused("log=kmsg", "log=kmsg: stderr, syslog or json");
	refused("ready_fd=0", "ready_fd=0: a whole number from 1 to");
	refused("ro=1", "ro takes no value");
	refused("nosuid=1", "nosuid takes no value");
	refused("max_read", "max_read needs a value");
	refused("subtype=other", "batchfs");
	refused("frobnicate", "frobnicate: unknown option; known are engine=");
	refused("frobnicate=7", "protect");
	refused("ro,,jobs=x", "jobs=x");
	refused("host=db", "service=NAME");
	refused("user=joe", "service=NAME");
	refused("dbname=x", "PG*");
}

static void test_passwords_are_refused_and_not_shown(void **state)
{
	(void)state;
	static const char *const lists[] = {
		"password=s3cret",
		"PGPASSWORD=s3cret",
		"passwd=s3cret",
		"sslpassword=s3cret",
		"service=host=x password=s3cret",
		"service=postgres://joe:s3cret@db/x",
		"postgresql://joe:s3cret@db/x?a=b",
		"service=host=x PASSWORD = s3cret",
	};
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		struct options o;
		struct error err = {0};
		assert_int_equal(with_list(&o, &err, lists[i]), -EINVAL);
		assert_null(strstr(err.text, "s3cret"));
		assert_non_null(strstr(err.text, "password"));
		options_fini(&o);
	}
	struct options o;
	struct error err = {0};
	/* The -o was forgotten. */
	assert_int_equal(parse(&o, &err, "batchfs", ARGS("target", "/mnt", "password=s3cret")), -EINVAL);
	assert_null(strstr(err.text, "s3cret"));
	assert_non_null(strstr(err.text, "password: one argument too many"));
	options_fini(&o);
	assert_int_equal(with_list(&o, NULL, "engine=sqlite,database=/srv/passwords.db"), 0);
	options_fini(&o);
}

static void test_kernel_and_fstab_words(void **state)
{
	(void)state;
	struct options o;
	assert_int_equal(
		with_list(&o, NULL,
			  "defaults,_netdev,nofail,noauto,user,x-systemd.automount,x-systemd.idle-timeout=60,"
			  "comment=a,default_permissions,relatime,nosuid,auto_unmount,max_read=4096,sync,"
			  "context=a\\,b\\\\c,subtype=batchfs"),
		0);
	assert_string_equal(o.kernel.str, "nosuid,auto_unmount,max_read=4096,context=a\\,b\\\\c");
	assert_true(o.sync);
	options_fini(&o);
	assert_int_equal(with_list(&o, NULL, "sync,async,database=/a\\,b"), 0);
	assert_false(o.sync);
	assert_string_equal(o.database, "/a,b");
	options_fini(&o);
}

static void test_called_by_mount(void **state)
{
	(void)state;
	struct options o;
	struct error err = {0};
	const char *self = "/sbin/mount.fuse.batchfs";
	assert_int_equal(
		parse(&o, &err, self, ARGS("target", "/mnt", "-sv", "-n", "-o", "rw,user=joe,jobs=1")), 0);
	assert_int_equal(o.action, ACTION_MOUNT);
	assert_false(o.foreground);
	options_fini(&o);
	assert_int_equal(parse(&o, &err, self, ARGS("target", "/mnt", "-f", "-t", "fuse.batchfs")), 0);
	assert_int_equal(o.action, ACTION_FAKE);
	options_fini(&o);
	assert_int_equal(parse(&o, &err, self, ARGS("target", "/mnt", "-d")), -EINVAL);
	options_fini(&o);
}

static void test_engine_choice(void **state)
{
	(void)state;
	struct options o;
	struct error err = {0};
	const struct engine *e = NULL;
	assert_int_equal(with_list(&o, NULL, "ro"), 0);
	assert_int_equal(options_engine(&o, engines, "sqlite", &e, &err), 0);
	assert_ptr_equal(e, &small);
	assert_int_equal(options_engine(&o, engines, "snowflake", &e, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "\"snowflake\""));
	assert_non_null(strstr(err.text, "postgres, sqlite"));
	assert_int_equal(options_engine(&o, engines, NULL, &e, &err), -ENOTSUP);
	options_fini(&o);
	assert_int_equal(with_list(&o, NULL, "engine=postgres"), 0);
	assert_int_equal(options_engine(&o, engines, "sqlite", &e, &err), 0);
	assert_ptr_equal(e, &big);
	options_fini(&o);
	const struct engine server = {.name = "dbt", .store_name = "postgres"};
	const struct engine *const two[] = {&other, &server, NULL};
	assert_int_equal(with_list(&o, NULL, "store=postgres") + options_engine(&o, two, "dbt", &e, &err), 0);
	assert_ptr_equal(e, &server);
	options_fini(&o);
}

static void settles(const char *list, const struct engine *e, long jobs)
{
	struct options o;
	assert_int_equal(with_list(&o, NULL, list), 0);
	assert_int_equal(options_settle(&o, e, NULL), 0);
	assert_int_equal(o.jobs, jobs);
	options_fini(&o);
}

static void does_not_settle(const char *list, const struct engine *e, const char *part)
{
	struct options o;
	struct error err = {0};
	assert_int_equal(with_list(&o, NULL, list), 0);
	assert_int_equal(options_settle(&o, e, &err), -EINVAL);
	assert_non_null(strstr(err.text, part));
	options_fini(&o);
}

static void test_what_fits_the_engine(void **state)
{
	(void)state;
	settles("ro", &big, 2);
	settles("jobs=8", &big, 8);
	settles("database=/x", &small, 1);
	settles("database=/x,jobs=1", &small, 1);
	does_not_settle("database=/x,jobs=2", &small, "jobs=2: engine sqlite runs at most 1");
	does_not_settle("jobs=1", &small, "database=FILE");
	does_not_settle("database=/x,service=w", &small, "service");
	does_not_settle("database=/x,role=w", &small, "role");
	does_not_settle("database=/x", &big, "database: engine postgres has no use for it");
	does_not_settle("database=/x", &big, "given by service=NAME");
	settles("project=/p,chunk=5", &other, 3);
	settles("project=/p,jobs=2", &other, 2);
	does_not_settle("store=sqlite", &big, "store=sqlite: engine postgres keeps its states in postgres");
	does_not_settle("service=w,chunk=5", &big, "chunk: it is for dbt");
}

/* Where a look is expensive it is taken when asked for, unless look= says otherwise. */
static void test_how_often_is_looked(void **state)
{
	const struct {
		const char *list;
		const struct engine *engine;
		long look_s;
	} all[] = {{"ro", &big, 60},
		   {"look=0", &big, 0},
		   {"project=/p", &other, 0},
		   {"project=/p,look=9", &other, 9}};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct options o;
		assert_int_equal(parse(&o, NULL, "batchfs", ARGS("target", "/mnt", "-o", all[i].list)), 0);
		assert_int_equal(options_settle(&o, all[i].engine, NULL), 0);
		assert_int_equal(o.look_s, all[i].look_s);
		options_fini(&o);
	}
}

static void test_help_names_every_option(void **state)
{
	(void)state;
	struct strbuf text = STRBUF_INIT;
	options_help(engines, &text);
	for (const struct option_rule *r = option_rules; r->name; r++)
		if (r->kind != OPTION_IGNORED)
			assert_non_null(strstr(text.str, r->name));
	assert_non_null(strstr(text.str, " postgres: an entry of"));
	assert_non_null(strstr(text.str, " sqlite: the database file"));
	assert_non_null(strstr(text.str, "(2); sqlite: at most 1"));
	for (char *line = strtok(text.str, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 100);
	strbuf_fini(&text);
}

static void test_mountinfo(void **state)
{
	(void)state;
	struct mount_entry e = {0};
	const char *line = "36 35 0:53 / /mnt/a\\040b rw,nosuid shared:1 master:2 - fuse.batchfs /srv/target "
			   "rw,user_id=0";
	assert_true(mountinfo_parse(line, "/mnt/a b", &e));
	assert_int_equal(e.major, 0);
	assert_int_equal(e.minor, 53);
	assert_string_equal(e.type, "fuse.batchfs");
	assert_int_equal(e.user, 0);
	assert_false(mountinfo_parse(line, "/mnt/a", &e));
	assert_false(mountinfo_parse(line, "/mnt/a b/c", &e));
	assert_false(mountinfo_parse("36 35 0:53 / /mnt rw", "/mnt", &e));
	assert_false(mountinfo_parse("", "/mnt", &e));
	assert_false(mountinfo_top("/no/such/mount", &e));
}

static void test_flock_lines(void **state)
{
	(void)state;
	dev_t dev = makedev(8, 0x1f);
	assert_int_equal(peer_flock_line("1: FLOCK  ADVISORY  READ 1234 08:1f:131 0 EOF\n", dev, 131), 1234);
	assert_int_equal(peer_flock_line("1: FLOCK  ADVISORY  WRITE 1234 08:1f:132 0 EOF\n", dev, 131), 0);
	assert_int_equal(peer_flock_line("1: FLOCK  ADVISORY  WRITE 1234 08:1e:131 0 EOF\n", dev, 131), 0);
	assert_int_equal(peer_flock_line("1: -> FLOCK  ADVISORY  WRITE 1234 08:1f:131 0 EOF\n", dev, 131), 0);
	assert_int_equal(peer_flock_line("1: POSIX  ADVISORY  WRITE 1234 08:1f:131 0 EOF\n", dev, 131), 0);
	assert_int_equal(peer_flock_line("1: FLOCK  ADVISORY  READ -1 08:1f:131 0 EOF\n", dev, 131), 0);
	assert_int_equal(peer_flock_line("", dev, 131), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_usage),
		cmocka_unit_test(test_bad_values_name_what_is_accepted),
		cmocka_unit_test(test_passwords_are_refused_and_not_shown),
		cmocka_unit_test(test_kernel_and_fstab_words),
		cmocka_unit_test(test_called_by_mount),
		cmocka_unit_test(test_engine_choice),
		cmocka_unit_test(test_what_fits_the_engine),
		cmocka_unit_test(test_how_often_is_looked),
		cmocka_unit_test(test_help_names_every_option),
		cmocka_unit_test(test_mountinfo),
		cmocka_unit_test(test_flock_lines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

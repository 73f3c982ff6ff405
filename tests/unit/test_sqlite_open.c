/* SPDX-License-Identifier: Apache-2.0 */
/* Who may open a SQLite warehouse, what -o ro leaves behind, and whose table it is. */
#include "tests/unit/sqlite_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

static int open_fails(struct fixture *f)
{
	int r = f->engine->store->open(&f->config, &f->store, &f->err);
	assert_null(f->store);
	return r;
}

static void second_open_names_the_first(void **state)
{
	struct fixture *f = *state;
	struct store *second = NULL;
	char pid[32];
	connect_all(f);
	assert_int_equal(f->engine->store->open(&f->config, &second, &f->err), -EBUSY);
	assert_null(second);
	snprintf(pid, sizeof pid, "process %ld (", (long)getpid());
	assert_non_null(strstr(f->err.text, pid));
	disconnect(f);
	connect_all(f);
}

static int entries(const struct fixture *f)
{
	int n = 0;
	DIR *dir = opendir(f->dir);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));)
		n += e->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void no_database(void **state)
{
	struct fixture *f = *state;
	char path[96];
	f->config.database = NULL;
	assert_int_equal(open_fails(f), -EINVAL);
	f->config.database = f->dir;
	assert_int_equal(open_fails(f), -EISDIR);
	assert_non_null(strstr(f->err.text, f->dir));
	snprintf(path, sizeof path, "%s/no/such/w.db", f->dir);
	f->config.database = path;
	assert_int_equal(open_fails(f), -ENOENT);
	assert_non_null(strstr(f->err.text, path));
	/* A misspelt name makes no new warehouse, nor anything beside it. */
	snprintf(path, sizeof path, "%s/x.db", f->dir);
	assert_int_equal(open_fails(f), -ENOENT);
	assert_int_equal(entries(f), 1);
	f->config.database = f->file;
	FILE *text = fopen(f->file, "w");
	assert_non_null(text);
	fprintf(text, "%02000d is not a database, however long it may be", 7);
	fclose(text);
	assert_true(open_fails(f) < 0);
	assert_non_null(strstr(f->err.text, f->file));
	assert_non_null(strstr(f->err.text, "not a database"));
}

/* Names, sizes, times and contents of everything in the directory, summed up. */
static uint64_t fingerprint(const struct fixture *f)
{
	uint64_t sum = 0;
	DIR *dir = opendir(f->dir);
	assert_non_null(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;
		uint64_t h = 14695981039346656037ULL;
		char path[512], byte;
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", f->dir, e->d_name);
		assert_int_equal(stat(path, &st), 0);
		for (const char *c = e->d_name; *c; c++)
			h = (h ^ (unsigned char)*c) * 1099511628211ULL;
		h = (h ^ (uint64_t)st.st_mtim.tv_nsec ^ (uint64_t)st.st_ino) * 1099511628211ULL;
		int fd = open(path, O_RDONLY);
		while (read(fd, &byte, 1) == 1)
			h = (h ^ (unsigned char)byte) * 1099511628211ULL;
		close(fd);
		sum += h;
	}
	closedir(dir);
	return sum;
}

static void read_only_leaves_no_trace(void **state)
{
	struct fixture *f = *state;
	events(f);
	f->config.read_only = true;
	uint64_t before = fingerprint(f);
	connect_all(f); /* a warehouse that batchfs never wrote to */
	assert_int_equal(f->seen.n, 0);
	assert_int_equal(fingerprint(f), before);
	f->config.read_only = false;
	build_days(f, 2);
	ask(f, 2, day(f, 2), day(f, 3));
	disconnect(f);
	f->config.read_only = true;
	before = fingerprint(f);
	connect_all(f);
	assert_int_equal(f->seen.n, 2);
	assert_int_equal(f->seen.requests, 2);
	assert_false(f->target[0].look);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	struct store_request r = {.batches = {day(f, 0), day(f, 1)}, .expected = -1};
	assert_int_equal(f->engine->store->request(f->store, &r, 1, NULL, &f->err), -EROFS);
	struct build_run run = {.first = day(f, 0), .count = 1, .attempt = {9}};
	assert_int_equal(build(f, &run), -EROFS);
	assert_int_equal(last(f)->outcome, BUILD_UNSTARTED);
	disconnect(f);
	assert_int_equal(fingerprint(f), before);
	unlink(f->file);
	assert_int_equal(open_fails(f), -ENOENT);
}

static void read_only_beside_a_writer(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	struct store *writer = f->store;
	struct worker *worker = f->worker;
	f->store = NULL;
	f->worker = NULL;
	f->config.read_only = true;
	connect_all(f);
	assert_int_equal(f->seen.n, 2);
	assert_int_equal(state_of(f, day(f, 1))->outcome, OUTCOME_DONE);
	disconnect(f);
	f->store = writer;
	f->worker = worker;
}

static void adopt(struct fixture *f)
{
	struct store_sink sink = sink_of(f);
	GOOD(f->engine->builder->look(f->worker, 0, LOOK_FIRST, &sink, &f->err));
	assert_int_equal(f->seen.forgotten, 1);
}

static void adoption(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *rows;
		size_t batches;
	} cases[] = {
		{"", 0},
		{"INSERT INTO out VALUES (1, '2024-09-02 10:00:00')", 1},
		{"INSERT INTO out VALUES (1, '2024-09-01'), (2, '2024-09-01 23:00:00'), (3, '2024-09-02'), "
		 "(4, null),"
		 " (5, '2024-09-05')",
		 3},
	};
	events(f);
	for (size_t i = 0; i < 3; i++) {
		char sql[256];
		snprintf(sql, sizeof sql, "DROP TABLE IF EXISTS out; CREATE TABLE out(id, ts TEXT); %s",
			 cases[i].rows);
		shell(f, sql);
		connect_all(f);
		assert_true(f->target[0].look);
		assert_int_equal(f->seen.n, 0);	    /* what was known of the table before is void */
		assert_true(f->target[0].notes[0]); /* no index */
		adopt(f);
		assert_int_equal(f->seen.n, cases[i].batches);
		connect_all(f);
		assert_false(f->target[0].look);
		assert_int_equal(f->seen.n, cases[i].batches);
	}
	const struct store_state *st = state_of(f, day(f, 4));
	assert_int_equal(st->outcome, OUTCOME_DONE);
	assert_true(st->adopted);
	assert_int_equal(st->attempt, 0);
	assert_int_equal(st->rows_inserted, -1);
	assert_string_equal(f->seen.code[f->seen.n - 1], "");
	/* What is adopted can be built, and is adopted no more. */
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	struct build_run run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	connect_all(f);
	assert_false(state_of(f, day(f, 0))->adopted);
	assert_int_equal(state_of(f, day(f, 0))->attempt, 1);
}

static void read_only_adoption_only_tells(void **state)
{
	struct fixture *f = *state;
	events(f);
	shell(f, "CREATE TABLE out(id, ts); INSERT INTO out VALUES (1, '2024-09-02'), (2, '2024-09-04')");
	f->config.read_only = true;
	uint64_t before = fingerprint(f);
	connect_all(f);
	assert_true(f->target[0].look);
	adopt(f);
	assert_int_equal(f->seen.n, 2);
	assert_int_equal(f->seen.states[1].batch, day(f, 3));
	disconnect(f);
	assert_int_equal(fingerprint(f), before);
}

/* VACUUM, ALTER TABLE and a rename there and back leave it the same table; a new one under its name is
 * another. */
static void which_table_it_is(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 3);
	disconnect(f);
	shell(f, "VACUUM; ALTER TABLE out ADD COLUMN more; ALTER TABLE out RENAME TO gone; ALTER TABLE gone "
		 "RENAME TO out");
	connect_all(f);
	assert_false(f->target[0].look);
	assert_int_equal(f->seen.n, 3);
	struct store_request failed = ask(f, 2, day(f, 3), day(f, 4));
	struct build_run run = claim(f, &failed);
	assert_int_equal(settle(f, SETTLE_FAILED, day(f, 3), run.attempt[0], "x"), 0);
	/* Replaced while it is mounted: as dbt does a full refresh. */
	shell(f, "CREATE TABLE out__dbt_tmp AS SELECT id, ts FROM out WHERE id < 3; DROP TABLE out;"
		 "ALTER TABLE out__dbt_tmp RENAME TO out");
	struct store_request r = ask(f, 3, day(f, 0), day(f, 2));
	run = claim(f, &r);
	assert_int_equal(build(f, &run), -EAGAIN);
	assert_int_equal(f->reports.n, 2);
	assert_int_equal(last(f)->outcome, BUILD_UNSTARTED);
	assert_int_equal(settle(f, SETTLE_UNSTARTED, day(f, 0), run.attempt[0], ""), 0);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	assert_true(f->target[0].look);
	adopt(f);
	assert_int_equal(state_of(f, day(f, 0))->outcome, OUTCOME_DONE);
	assert_true(state_of(f, day(f, 0))->adopted);
	assert_int_equal(state_of(f, day(f, 2))->outcome, OUTCOME_NONE);
	assert_int_equal(state_of(f, day(f, 3))->outcome, OUTCOME_NONE);
	/* Put back after the adoption: it is in the queue of the new table. */
	assert_int_equal(settle(f, SETTLE_UNSTARTED, day(f, 1), run.attempt[1], ""), 0);
	connect_all(f);
	assert_int_equal(state_of(f, day(f, 1))->run, ROW_REQUEUED);
	run = claim(f, &r);
	assert_true(run.attempt[0] && run.attempt[1]);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
}

static void dropped_table_is_made_again(void **state)
{
	struct fixture *f = *state;
	events(f);
	build_days(f, 2);
	shell(f, "DROP TABLE out");
	connect_all(f);
	assert_false(f->target[0].exists);
	GOOD(f->engine->builder->prepare(f->worker, 0, true, &f->target[0], &f->err));
	assert_true(f->target[0].look);
	adopt(f);
	struct store_request r = ask(f, 2, day(f, 0), day(f, 2));
	struct build_run run = claim(f, &r);
	GOOD(build(f, &run));
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	assert_int_equal(shell(f, "SELECT count(*) FROM out"), 3);
}

static void prepared_table(void **state)
{
	struct fixture *f = *state;
	const char *columns[] = {"id", "ts", NULL};
	const struct index_config index = {.columns = columns, .unique = true};
	events(f);
	f->model[0].compiled = "select id, date(ts) as ts, 1.5 as \"a \"\"b\" from \"w\".\"main\".\"events\"";
	f->model[0].indexes = &index;
	f->model[0].n_indexes = 1;
	build_days(f, 1);
	assert_int_equal(last(f)->outcome, BUILD_DONE);
	assert_int_equal(
		shell(f, "SELECT group_concat(type, ',') = 'INTEGER,TEXT,' FROM pragma_table_info('out')"),
		1);
	assert_int_equal(shell(f, "SELECT count(*) FROM pragma_index_list('out')"), 2);
	assert_int_equal(shell(f, "SELECT count(*) FROM pragma_index_list('out') WHERE \"unique\""), 1);
	assert_string_equal(f->target[0].notes, "");
}

static void two_models_one_table(void **state)
{
	struct fixture *f = *state;
	events(f);
	f->model[1].unique_id = "model.q.out";
	f->model[1].relation.identifier = (char *)"OUT";
	f->n_models = 2;
	connect_all(f);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(f->target[i].why_not.err, EOPNOTSUPP);
		assert_non_null(strstr(f->target[i].why_not.text, "model.p.out"));
		assert_non_null(strstr(f->target[i].why_not.text, "model.q.out"));
	}
	struct store_request r = ask(f, 1, day(f, 0), day(f, 1));
	assert_int_equal(r.result, -EOPNOTSUPP);
}

/* Whatever is called so in this file is another table. */
static void other_schemas_are_refused(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *target, *input, *says; /* says NULL: it runs */
	} cases[] = {
		{"main", "main", NULL},
		{"MAIN", "Main", NULL},
		{"prod", "main", "\"w\".\"main\".\"out\""},
		{"temp", "main", "\"w\".\"main\".\"out\""},
		{"main", "raw", "\"w\".\"main\".\"events\""},
	};
	events(f);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		f->model[0].relation.schema = (char *)cases[i].target;
		f->input.relation.schema = (char *)cases[i].input;
		connect_all(f);
		const struct error *why = &f->target[0].why_not;
		assert_int_equal(why->err, cases[i].says ? EOPNOTSUPP : 0);
		if (!cases[i].says)
			continue;
		assert_non_null(strstr(why->text, cases[i].says));
		assert_non_null(strstr(why->text, "schema main"));
		/* What it reads is no reason not to look at its table. */
		assert_int_equal(f->target[0].lookable, strcmp(cases[i].target, "main") == 0);
		if (!f->target[0].lookable)
			assert_int_equal(ask(f, 1, day(f, 0), day(f, 1)).result, -EOPNOTSUPP);
	}
	/* One that cannot run takes no table away from another. */
	f->model[0].relation.schema = (char *)"main";
	f->model[1].relation.schema = (char *)"prod";
	f->input.relation.schema = (char *)"main";
	f->n_models = 2;
	connect_all(f);
	assert_int_equal(f->target[0].why_not.err, 0);
	assert_int_equal(f->target[1].why_not.err, EOPNOTSUPP);
}

static void a_view_is_no_target(void **state)
{
	struct fixture *f = *state;
	events(f);
	shell(f, "CREATE VIEW out AS SELECT * FROM events");
	connect_all(f);
	assert_int_equal(f->target[0].why_not.err, EOPNOTSUPP);
	shell(f, "DROP VIEW out; CREATE TABLE out(id, at)");
	connect_all(f);
	assert_non_null(strstr(f->target[0].why_not.text, "no column ts"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_new, fixture_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(second_open_names_the_first),
		TEST(no_database),
		TEST(read_only_leaves_no_trace),
		TEST(read_only_beside_a_writer),
		TEST(adoption),
		TEST(read_only_adoption_only_tells),
		TEST(which_table_it_is),
		TEST(dropped_table_is_made_again),
		TEST(prepared_table),
		TEST(two_models_one_table),
		TEST(a_view_is_no_target),
		TEST(other_schemas_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

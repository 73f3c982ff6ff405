/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_mount MOUNTPOINT [sync] [ro] [debug] [timeout=S] [umask=OCTAL] [many] [thousand]: fs/ over the fake
 * backend; thousand: 1,000 models of 1,100 days instead of the four.
 * Reads commands from stdin, answers each with a line: hold requests|builds    release requests|builds
 * fail|heal MODEL ORDINAL-FROM-0    state MODEL N STATE count (builds, requests, requests held)    reason
 * refusal    quit
 */
#define FUSE_USE_VERSION 313
#include <fuse3/fuse_opt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs.h"
#include "tests/fake_backend/fake_backend.h"

static ordinal day(const char *name)
{
	enum batch_size size;
	ordinal o = 0;

	calendar_parse_name(name, strlen(name), &size, &o);
	return o;
}

static struct backend *make_backend(bool read_only, bool many)
{
	ordinal first = day("2024-01-01");
	ordinal hour = calendar_ordinal(BATCH_HOUR, calendar_start(BATCH_DAY, first));
	struct fake_model models[] = {
		{"sessions", BATCH_DAY, {first, first + 300}, BATCH_PENDING, true, false},
		{"hourly", BATCH_HOUR, {hour, hour + (many ? 26000 : 1100)}, BATCH_DONE, true, true},
		{"broken", BATCH_DAY, {first, first + 10}, BATCH_PENDING, false, false},
		{"days", BATCH_DAY, {first, first + 1100}, BATCH_DONE, true, false},
	};

	return fake_open(models, 4, read_only);
}

static struct backend *make_thousand(bool read_only)
{
	enum { MODELS = 1000, NAME = 8 };
	struct fake_model *models = calloc(MODELS, sizeof(*models));
	char *names = calloc(MODELS, NAME);
	ordinal first = day("2023-01-01");

	for (int i = 0; i < MODELS; i++) {
		snprintf(names + i * NAME, NAME, "m%03d", i);
		models[i] = (struct fake_model){names + i * NAME, BATCH_DAY, {first, first + 1100},
						BATCH_DONE,	  true,	     false};
	}
	struct backend *b = fake_open(models, MODELS, read_only);
	free(names);
	free(models);
	return b;
}

static bool say_text(char *text)
{
	printf("%s\n", text);
	free(text);
	return true;
}

static int wait_ms(int64_t next)
{
	int64_t now = clock_monotonic_us();

	if (next == INT64_MAX)
		return -1;
	return next <= now ? 0 : (int)((next - now + 999) / 1000);
}

/* False: quit. */
static bool obey(struct backend *b, int64_t next, char *line)
{
	char word[64] = "", model[64] = "", state[64] = "";
	unsigned n = 0;
	enum batch_state s;

	line[strcspn(line, "\n")] = '\0';
	sscanf(line, "%63s %63s %u %63s", word, model, &n, state);
	int m = backend_find(b, model);
	ordinal o = m >= 0 ? backend_existing(b, m).first + n : 0;
	if (strcmp(word, "quit") == 0)
		return false;
	if (strcmp(word, "hold") == 0 || strcmp(word, "release") == 0) {
		bool hold = word[0] == 'h';
		if (strcmp(model, "requests") == 0)
			fake_hold_requests(b, hold);
		else
			fake_hold_builds(b, hold);
	} else if (m >= 0 && (strcmp(word, "fail") == 0 || strcmp(word, "heal") == 0)) {
		fake_set_failing(b, m, o, word[0] == 'f');
	} else if (m >= 0 && strcmp(word, "state") == 0 && batch_state_parse(state, strlen(state), &s)) {
		fake_set_state(b, m, o, s);
	} else if (strcmp(word, "count") == 0) {
		printf("%u %u %u\n", fake_builds(b), fake_requests(b), fake_held(b));
		return true;
	} else if (strcmp(word, "next") == 0) {
		printf("%d\n", wait_ms(next));
		return true;
	} else if (strcmp(word, "reason") == 0) {
		return say_text(fake_last_reason(b));
	} else if (strcmp(word, "refusal") == 0) {
		return say_text(fake_last_refusal(b));
	} else {
		puts("what?");
		return true;
	}
	puts("ok");
	return true;
}

static void serve(struct fs *fs, struct backend *b)
{
	struct pollfd fds[] = {{.fd = fs_event_fd(fs), .events = POLLIN}, {.fd = 0, .events = POLLIN}};
	char line[256];
	bool said = false;

	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		int64_t next = fs_tick(fs, clock_monotonic_us());
		if (fs_stage(fs) == FS_SERVING && !said) {
			puts("serving");
			said = true;
		}
		if (fs_stage(fs) == FS_ENDED)
			return;
		poll(fds, 2, wait_ms(next));
		if (fds[1].revents && (!fgets(line, sizeof(line), stdin) || !obey(b, next, line)))
			return;
	}
}

int main(int argc, char **argv)
{
	struct log log = {.level = LOG_LEVEL_DEBUG};
	struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
	struct fs_config config = {
		.log = &log, .mountpoint = argv[1], .umask = 022, .timeout_s = 10, .args = &args};
	struct backend_listener listener;
	struct error err;
	struct fs *fs;
	bool read_only = false, many = false, thousand = false;

	for (int i = 2; i < argc; i++) {
		config.sync |= strcmp(argv[i], "sync") == 0;
		config.debug |= strcmp(argv[i], "debug") == 0;
		config.allow_other |= strcmp(argv[i], "allow_other") == 0;
		read_only |= strcmp(argv[i], "ro") == 0;
		many |= strcmp(argv[i], "many") == 0;
		thousand |= strcmp(argv[i], "thousand") == 0;
		if (strncmp(argv[i], "timeout=", 8) == 0)
			config.timeout_s = atoi(argv[i] + 8);
		if (strncmp(argv[i], "umask=", 6) == 0)
			config.umask = (mode_t)strtoul(argv[i] + 6, NULL, 8);
		if (strncmp(argv[i], "gid=", 4) == 0)
			config.gid = (gid_t)atoi(argv[i] + 4);
	}
	fuse_opt_add_arg(&args, "fake_mount");
	config.backend = thousand ? make_thousand(read_only) : make_backend(read_only, many);
	int r = fs_open(&config, &fs, &err);
	fuse_opt_free_args(&args);
	if (r) {
		fprintf(stderr, "%s\n", err.text);
		backend_close(config.backend);
		return -r;
	}
	fs_listener(fs, &listener);
	backend_start(config.backend, &listener, &err);
	if (fs_start(fs, &err) == 0)
		serve(fs, config.backend);
	backend_stop(config.backend);
	r = fs_close(fs);
	backend_close(config.backend);
	printf("ended %d\n", r);
	return 0;
}

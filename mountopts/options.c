/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/options.h"

#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "mountopts/option_list.h"
#include "mountopts/option_table.h"

#define TIMEOUT_DEFAULT_S 10
#define DRAIN_DEFAULT_S	  10
#define LOOK_DEFAULT_S	  60
#define HISTORY_DEFAULT	  10000

/* How far argv has been read. */
struct scan {
	int argc;
	char *const *argv;
	int next;
	bool helper; /* mount(8) has called us */
	bool only_words;
	const struct engine *const *engines;
	struct options *o;
};

static bool called_by_mount(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
	const char *name = slash ? slash + 1 : argv0;
	return name && !strncmp(name, "mount.", strlen("mount."));
}

static int take_word(struct options *o, const char *word, struct error *err)
{
	char **to = !o->manifest ? &o->manifest : !o->mountpoint ? &o->mountpoint : NULL;
	/* Where an option was given without -o, nobody is told its value. */
	if (!to)
		return error_set(err, EINVAL,
				 "%.*s: one argument too many: MANIFEST MOUNTPOINT is all there is",
				 (int)strcspn(word, "="), word);
	if (!*word)
		return error_set(err, EINVAL, "%s is empty", o->manifest ? "MOUNTPOINT" : "MANIFEST");
	*to = strdup(word);
	return *to ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int take_list(struct scan *s, const char *attached, struct error *err)
{
	const char *list = attached;
	if (!*list) {
		if (s->next >= s->argc)
			return error_set(err, EINVAL, "-o needs its options: -o jobs=2,ro");
		list = s->argv[s->next++];
	}
	return option_list_parse(list, s->helper, s->engines, s->o, err);
}

/*
 * mount(8) calls its helpers as mount.TYPE SOURCE DIR [-sfnv] [-t TYPE] [-o OPTIONS], and its -f means
 * "fake".
 */
static int take_helper_flag(struct scan *s, char letter, const char *rest, struct error *err)
{
	switch (letter) {
	case 'f':
		s->o->action = ACTION_FAKE;
		return 0;
	case 's':
	case 'n':
	case 'v':
		return 0;
	case 't':
		if (*rest || s->next++ < s->argc)
			return 0;
		return error_set(err, EINVAL, "-t needs a type");
	default:
		return error_set(err, EINVAL, "-%c: mount(8) passes -f, -n, -s, -v, -t and -o to its helpers",
				 letter);
	}
}

static int take_flags(struct scan *s, const char *letters, struct error *err)
{
	for (; *letters; letters++) {
		if (*letters == 'o')
			return take_list(s, letters + 1, err);
		if (*letters == 'h') {
			s->o->action = ACTION_HELP;
		} else if (*letters == 'V') {
			s->o->action = ACTION_VERSION;
		} else if (s->helper) {
			int rc = take_helper_flag(s, *letters, letters + 1, err);
			if (rc || *letters == 't')
				return rc;
		} else if (*letters == 'f') {
			s->o->foreground = true;
		} else if (*letters == 'd') {
			s->o->debug = s->o->foreground = true;
		} else {
			return error_set(err, EINVAL, "-%c: known are -f, -d, -o OPTIONS, -h, -V", *letters);
		}
	}
	return 0;
}

static int take_argument(struct scan *s, struct error *err)
{
	const char *arg = s->argv[s->next++];
	if (s->only_words || arg[0] != '-' || !arg[1])
		return take_word(s->o, arg, err);
	if (!strcmp(arg, "--")) {
		s->only_words = true;
		return 0;
	}
	if (!strcmp(arg, "--help")) {
		s->o->action = ACTION_HELP;
		return 0;
	}
	if (!strcmp(arg, "--version")) {
		s->o->action = ACTION_VERSION;
		return 0;
	}
	if (arg[1] == '-') {
		int name = (int)strcspn(arg, "=");
		return error_set(err, EINVAL,
				 "%.*s: known are --help and --version; the rest is given with -o", name,
				 arg);
	}
	return take_flags(s, arg + 1, err);
}

int options_parse(int argc, char *const *argv, const struct engine *const *engines, struct options *o,
		  struct error *err)
{
	*o = (struct options){
		.timeout_s = TIMEOUT_DEFAULT_S,
		.drain_s = DRAIN_DEFAULT_S,
		.look_s = -1,
		.history = HISTORY_DEFAULT,
		.uid = -1,
		.gid = -1,
		.umask = -1,
		.kernel = STRBUF_INIT,
	};
	struct scan s = {
		.argc = argc,
		.argv = argv,
		.next = 1,
		.helper = argc > 0 && called_by_mount(argv[0]),
		.engines = engines,
		.o = o,
	};
	while (s.next < argc) {
		int rc = take_argument(&s, err);
		if (rc)
			return rc;
		if (o->action == ACTION_HELP || o->action == ACTION_VERSION)
			return 0;
	}
	if (!o->mountpoint)
		return error_set(err, EINVAL, "%s is missing", o->manifest ? "MOUNTPOINT" : "MANIFEST");
	if (strbuf_broken(&o->kernel))
		return error_set(err, ENOMEM, "out of memory");
	return 0;
}

void options_fini(struct options *o)
{
	char *owned[] = {o->store,   o->manifest, o->mountpoint, o->engine, o->service, o->role,  o->database,
			 o->project, o->profiles, o->target,	 o->dbt,    o->adopt,	o->fsname};
	for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
		free(owned[i]);
	strbuf_fini(&o->kernel);
	*o = (struct options){.kernel = STRBUF_INIT};
}

/* Whether the store that was asked for is the engine's. */
static bool kept_by(const struct options *o, const struct engine *e)
{
	return !o->store || !strcmp(o->store, engine_store_name(e));
}

int options_engine(const struct options *o, const struct engine *const *engines, const char *adapter_type,
		   const struct engine **out, struct error *err)
{
	const char *wanted = o->engine ? o->engine : adapter_type;
	*out = NULL;
	for (const struct engine *const *e = engines; wanted && *e; e++) {
		bool named = !strcmp((*e)->name, wanted);
		bool kept = kept_by(o, *e);
		if (named && (kept || !*out))
			*out = *e;
		if (named && kept)
			return 0;
	}
	if (*out)
		return 0;
	auto_strbuf names = STRBUF_INIT;
	options_engine_names(engines, &names);
	return error_set(err, ENOTSUP, "adapter_type: \"%s\" is no warehouse that batchfs builds in (%s)",
			 wanted ? wanted : "", names.str);
}

int options_settle(struct options *o, const struct engine *engine, struct error *err)
{
	if (!kept_by(o, engine))
		return error_set(err, EINVAL, "store=%s: engine %s keeps its states in %s", o->store,
				 engine->name,
				 engine->store_name ? "sqlite or postgres" : engine_store_name(engine));
	for (const struct option_rule *r = option_rules; r->name; r++) {
		const void *field = (char *)o + r->offset;
		bool given = r->engine && (r->kind == OPTION_NUMBER ? *(const long *)field != 0
								    : *(char *const *)field != NULL);
		if (given && !(engine->takes & r->engine))
			return error_set(err, EINVAL,
					 "%s: engine %s%s%s has no use for it; its warehouse is given by %s",
					 r->name, engine->name, engine->store_name ? " with store=" : "",
					 engine->store_name ? engine->store_name : "", engine->given_by);
		if (given && !o->project && r->engine & ENGINE_OF_GUEST)
			return error_set(err, EINVAL,
					 "%s: it is for dbt, which runs where project=DIR is given", r->name);
		if (!given && engine->needs & r->engine)
			return error_set(err, EINVAL, "%s: engine %s needs it: -o %s=%s", r->name,
					 engine->name, r->name, r->value);
	}
	if (engine->max_jobs && o->jobs > (long)engine->max_jobs)
		return error_set(err, EINVAL, "jobs=%ld: engine %s runs at most %u", o->jobs, engine->name,
				 engine->max_jobs);
	if (!o->jobs)
		o->jobs = engine->jobs_default					? (long)engine->jobs_default
			  : engine->max_jobs && engine->max_jobs < JOBS_DEFAULT ? (long)engine->max_jobs
										: JOBS_DEFAULT;
	if (o->look_s < 0)
		o->look_s = engine->asked_looks ? 0 : LOOK_DEFAULT_S;
	return 0;
}

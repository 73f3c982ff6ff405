/* SPDX-License-Identifier: Apache-2.0 */
/* Any command line, a word a line; the first one is how the program is called. */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "mountopts/options.h"
#include "tests/fuzz/fuzz.h"

#define WORDS 24

static const struct engine big = {
	.name = "postgres", .takes = ENGINE_SERVICE | ENGINE_ROLE, .given_by = "service=NAME"};
static const struct engine small = {.name = "sqlite",
				    .takes = ENGINE_DATABASE,
				    .needs = ENGINE_DATABASE,
				    .given_by = "database=FILE",
				    .max_jobs = 1};
static const struct engine *const engines[] = {&big, &small, NULL};

static void check_settled(struct options *o)
{
	const struct engine *engine = NULL;
	struct error err = {0};
	int r = options_engine(o, engines, "sqlite", &engine, &err);

	assert(r == 0 ? engine != NULL : err.err == -r && err.text[0]);
	if (r)
		return;
	r = options_settle(o, engine, &err);
	assert(r == 0 ? o->jobs > 0 : err.err == -r && err.text[0]);
}

/* Whether what stands at this place of the word is an option of its own, or a word; NULL: nothing does. */
static bool is_given(const char *word, const char *at)
{
	if (!at)
		return false;
	return at == word || (at == word + 2 && strncmp(word, "-o", 2) == 0) ||
	       (at[-1] == ',' && at - 1 > word && at[-2] != '\\');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Whoever wrote it: what follows "password=" is said to nobody. */
	static const char secret[] = "password=hunter2-and-more";
	auto_free char *text = calloc(1, size + 1);
	char *argv[WORDS + 1] = {0}, *rest = text, *word;
	struct options o;
	struct error err = {0};
	int argc = 0;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	while (argc < WORDS && (word = strsep(&rest, "\n")))
		argv[argc++] = word;
	int r = options_parse(argc, argv, engines, &o, &err);
	assert(r == 0 || (r < 0 && err.err == -r && err.text[0]));
	/* Where those letters stand elsewhere, too, that may be the value of an option which is quoted. */
	const char *first = size ? memmem(data, size, "hunter2", 7) : NULL;
	bool once =
		first && !memmem(first + 1, size - (size_t)(first + 1 - (const char *)data), "hunter2", 7);
	for (int i = 1; i < argc && once; i++)
		assert(!is_given(argv[i], strstr(argv[i], secret)) || !strstr(err.text, "hunter2"));
	if (r == 0)
		check_settled(&o);
	options_fini(&o);
	return 0;
}

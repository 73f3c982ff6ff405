/* SPDX-License-Identifier: Apache-2.0 */
/* A slot is one model's for ever, whatever becomes of the manifest; a catalog lives as long as it is needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend/models.h"

#define MANY 300

/* A catalog that counts when it is freed. */
struct counted {
	struct catalog catalog;
	struct model models[MANY];
	struct upstream upstream;
	char dirs[MANY][16];
	int *freed;
};

static void free_counted(struct catalog *c)
{
	struct counted *it = (struct counted *)c;
	++*it->freed;
	free(it);
}

/* Directories by their letters; a relation is called as its directory unless a test says otherwise. */
static struct counted *catalog_of(const char *letters, int *freed)
{
	struct counted *c = calloc(1, sizeof *c);
	assert_non_null(c);
	c->freed = freed;
	c->catalog.models = c->models;
	c->catalog.n_models = strlen(letters);
	for (size_t i = 0; letters[i]; i++) {
		c->dirs[i][0] = letters[i];
		c->models[i] = (struct model){.dir = c->dirs[i],
					      .relation = {.schema = (char *)"s", .identifier = c->dirs[i]},
					      .batch_size = BATCH_DAY};
	}
	return c;
}

static void swap(struct models *ms, struct counted *c)
{
	struct error err = {0};
	assert_int_equal(models_prepare(ms, &c->catalog, free_counted, &err), 0);
	models_swap(ms);
}

static void names_are(struct models *ms, const char *letters)
{
	assert_int_equal(models_count(ms), strlen(letters));
	for (size_t i = 0; letters[i]; i++) {
		char dir[] = {letters[i], '\0'};
		slot s = models_find(ms, dir);
		assert_int_equal(models_nth(ms, i), s);
		assert_string_equal(models_dir(ms, s), dir);
		assert_string_equal(models_at(ms, s)->dir, dir);
		assert_false(models_gone(ms, s));
	}
}

static void a_model_that_comes_moves_nobody(void **state)
{
	int freed = 0;
	struct models *ms = models_new(0);
	(void)state;
	assert_int_equal(models_end(ms), 0);
	assert_int_equal(models_find(ms, "b"), SLOT_NONE);
	swap(ms, catalog_of("bd", &freed));
	slot b = models_find(ms, "b"), d = models_find(ms, "d");
	assert_int_equal(b, 0);
	assert_int_equal(d, 1);
	swap(ms, catalog_of("abcd", &freed));
	names_are(ms, "abcd");
	assert_int_equal(models_find(ms, "b"), b);
	assert_int_equal(models_find(ms, "d"), d);
	assert_int_equal(models_end(ms), 4);
	models_free(ms);
	assert_int_equal(freed, 2);
}

static void the_order_of_the_manifest_is_nothing(void **state)
{
	int freed = 0;
	struct models *ms = models_new(0);
	(void)state;
	swap(ms, catalog_of("abc", &freed));
	/* The catalog is sorted by directory; which place a model has is the catalog's business alone. */
	struct counted *c = catalog_of("abc", &freed);
	struct model first = c->models[0];
	c->models[0] = c->models[2];
	c->models[2] = first;
	swap(ms, c);
	for (slot s = 0; s < 3; s++) {
		char dir[] = {(char)('a' + s), '\0'};
		assert_string_equal(models_at(ms, s)->dir, dir);
		assert_string_equal(models_dir(ms, s), dir);
	}
	assert_int_equal(models_nth(ms, 0), 2);
	models_free(ms);
}

static void a_model_that_goes_keeps_its_slot(void **state)
{
	int freed = 0;
	struct models *ms = models_new(0);
	(void)state;
	swap(ms, catalog_of("abc", &freed));
	slot b = models_find(ms, "b");
	swap(ms, catalog_of("acz", &freed));
	names_are(ms, "acz");
	assert_int_equal(models_find(ms, "b"), SLOT_NONE);
	assert_true(models_gone(ms, b));
	assert_string_equal(models_dir(ms, b), "b");
	assert_string_equal(models_at(ms, b)->dir, "b");
	assert_int_equal(models_find(ms, "z"), 3);
	/* Its facts are of a catalog that has gone. */
	assert_int_equal(freed, 0);
	swap(ms, catalog_of("abc", &freed));
	names_are(ms, "abc");
	assert_int_equal(models_find(ms, "b"), b);
	assert_true(models_gone(ms, 3));
	assert_int_equal(models_end(ms), 4);
	assert_int_equal(freed, 1);
	models_free(ms);
	assert_int_equal(freed, 3);
}

static void another_relation_is_another_model(void **state)
{
	int freed = 0;
	struct models *ms = models_new(0);
	(void)state;
	swap(ms, catalog_of("ab", &freed));
	struct counted *c = catalog_of("ab", &freed);
	c->models[1].relation.identifier = (char *)"elsewhere";
	swap(ms, c);
	slot moved = models_find(ms, "b");
	assert_int_equal(moved, 2);
	assert_true(models_gone(ms, 1));
	c = catalog_of("ab", &freed);
	c->models[1].relation.identifier = (char *)"elsewhere";
	c->models[1].relation.schema = (char *)"t";
	swap(ms, c);
	assert_int_equal(models_find(ms, "b"), 3);
	c = catalog_of("ab", &freed);
	c->models[1].relation.identifier = (char *)"elsewhere";
	swap(ms, c);
	assert_int_equal(models_find(ms, "b"), moved);
	/* Anything else may change. */
	c = catalog_of("ab", &freed);
	c->models[1].relation.identifier = (char *)"elsewhere";
	c->models[1].begin = 5;
	c->models[1].wrong = "its SQL is not compiled";
	swap(ms, c);
	assert_int_equal(models_find(ms, "b"), moved);
	assert_int_equal(models_at(ms, moved)->begin, 5);
	assert_string_equal(models_why_not(ms, moved), "its SQL is not compiled");
	assert_null(models_why_not(ms, models_find(ms, "a")));
	models_free(ms);
}

static void another_batch_size_is_another_model(void **state)
{
	int freed = 0;
	struct models *ms = models_new(0);
	(void)state;
	swap(ms, catalog_of("ab", &freed));
	struct counted *c = catalog_of("ab", &freed);
	c->models[0].batch_size = BATCH_HOUR;
	swap(ms, c);
	assert_int_equal(models_find(ms, "a"), 2);
	assert_int_equal(models_batch_size(ms, 2), BATCH_HOUR);
	assert_int_equal(models_batch_size(ms, 0), BATCH_DAY);
	swap(ms, catalog_of("ab", &freed));
	assert_int_equal(models_find(ms, "a"), 0);
	models_free(ms);
}

static void what_is_read_is_named_by_slots(void **state)
{
	int freed = 0;
	size_t n;
	struct models *ms = models_new(0);
	(void)state;
	swap(ms, catalog_of("ru", &freed));
	slot r = models_find(ms, "r"), u = models_find(ms, "u");
	struct counted *c = catalog_of("aru", &freed);
	c->upstream = (struct upstream){.place = 2, .windowed = true};
	c->models[1].upstreams = &c->upstream;
	c->models[1].n_upstreams = 1;
	swap(ms, c);
	const struct model_read *reads = models_reads(ms, r, &n);
	assert_int_equal(n, 1);
	assert_int_equal(reads[0].model, u);
	assert_true(reads[0].windowed);
	models_reads(ms, u, &n);
	assert_int_equal(n, 0);
	models_free(ms);
}

static void readers_are_found_by_what_they_read(void **state)
{
	int freed = 0;
	size_t n;
	struct models *ms = models_new(0);
	struct upstream both[] = {{.place = 2, .windowed = true}, {.place = 3}}, one = {.place = 2};
	(void)state;
	struct counted *c = catalog_of("abuv", &freed);
	c->models[0].upstreams = both;
	c->models[0].n_upstreams = 2;
	c->models[1].upstreams = &one;
	c->models[1].n_upstreams = 1;
	swap(ms, c);
	slot a = models_find(ms, "a"), b = models_find(ms, "b"), u = models_find(ms, "u");
	const struct model_read *readers = models_readers(ms, u, &n);
	assert_int_equal(n, 2);
	assert_int_equal(readers[0].model, a);
	assert_true(readers[0].windowed);
	assert_int_equal(readers[1].model, b);
	assert_false(readers[1].windowed);
	readers = models_readers(ms, models_find(ms, "v"), &n);
	assert_int_equal(n, 1);
	assert_int_equal(readers[0].model, a);
	models_readers(ms, a, &n);
	assert_int_equal(n, 0);
	/* One that has left is no reader, and has none. */
	struct upstream last = {.place = 1};
	c = catalog_of("bu", &freed);
	c->models[0].upstreams = &last;
	c->models[0].n_upstreams = 1;
	swap(ms, c);
	readers = models_readers(ms, u, &n);
	assert_int_equal(n, 1);
	assert_int_equal(readers[0].model, b);
	swap(ms, catalog_of("b", &freed));
	models_readers(ms, u, &n);
	assert_int_equal(n, 0);
	models_free(ms);
}

static void what_is_held_stays(void **state)
{
	int freed[3] = {0};
	struct models *ms = models_new(0);
	(void)state;
	swap(ms, catalog_of("ab", &freed[0]));
	struct held_catalog *run = models_hold(ms, 1), *all = models_hold_current(ms);
	const struct model *facts = models_at(ms, 1);
	struct counted *c = catalog_of("ab", &freed[1]);
	c->models[1].begin = 7;
	swap(ms, c);
	assert_int_equal(facts->begin, 0);
	assert_int_equal(models_at(ms, 1)->begin, 7);
	assert_int_equal(held_slot(all, 1), 1);
	assert_int_equal(held_catalog(all)->n_models, 2);
	catalog_drop(all);
	assert_int_equal(freed[0], 0);
	catalog_drop(run);
	assert_int_equal(freed[0], 1);
	/* Of a gone model the last one that had it is held. */
	swap(ms, catalog_of("a", &freed[2]));
	assert_int_equal(freed[1], 0);
	run = models_hold(ms, 1);
	assert_int_equal(held_catalog(run)->models[1].begin, 7);
	catalog_drop(run);
	catalog_drop(NULL);
	models_free(ms);
	assert_int_equal(freed[1], 1);
	assert_int_equal(freed[2], 1);
}

static void what_is_abandoned_cannot_be_named(void **state)
{
	int freed[3] = {0};
	struct error err = {0};
	struct models *ms = models_new(0);
	(void)state;
	swap(ms, catalog_of("bc", &freed[0]));
	struct counted *c = catalog_of("abx", &freed[1]);
	assert_int_equal(models_prepare(ms, &c->catalog, free_counted, &err), 0);
	assert_int_equal(models_end(ms), 4);
	assert_string_equal(models_prepared(ms, 2)->dir, "a");
	assert_string_equal(models_prepared(ms, 0)->dir, "b");
	assert_null(models_prepared(ms, 1));
	assert_true(models_gone(ms, 2));
	names_are(ms, "bc");
	models_abandon(ms);
	assert_int_equal(freed[1], 0);
	assert_int_equal(models_end(ms), 4);
	assert_true(models_gone(ms, 2));
	assert_string_equal(models_at(ms, 2)->dir, "a");
	names_are(ms, "bc");
	assert_int_equal(models_find(ms, "x"), SLOT_NONE);
	swap(ms, catalog_of("abcxy", &freed[2]));
	assert_int_equal(freed[1], 1); /* its slots have their facts from the new one */
	assert_int_equal(models_find(ms, "a"), 2);
	assert_int_equal(models_find(ms, "y"), 4);
	names_are(ms, "abcxy");
	models_free(ms);
	assert_int_equal(freed[0], 1);
}

/* The table of slots grows, and names that were given out stay where they are. */
static void many_models(void **state)
{
	int freed = 0;
	struct models *ms = models_new(0);
	(void)state;
	swap(ms, catalog_of("a", &freed));
	const char *dir = models_dir(ms, 0);
	for (int n = 10; n <= MANY; n += 97) {
		struct counted *c = catalog_of("", &freed);
		c->catalog.n_models = (size_t)n;
		for (int i = 0; i < n; i++) {
			snprintf(c->dirs[i], sizeof c->dirs[i], "m%03d", i);
			c->models[i] = (struct model){.dir = c->dirs[i], .batch_size = BATCH_YEAR};
		}
		swap(ms, c);
		assert_int_equal(models_end(ms), n + 1);
		assert_int_equal(models_find(ms, "m009"), 10);
	}
	assert_ptr_equal(models_dir(ms, 0), dir);
	assert_string_equal(dir, "a");
	models_free(ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_model_that_comes_moves_nobody),
		cmocka_unit_test(the_order_of_the_manifest_is_nothing),
		cmocka_unit_test(a_model_that_goes_keeps_its_slot),
		cmocka_unit_test(another_relation_is_another_model),
		cmocka_unit_test(another_batch_size_is_another_model),
		cmocka_unit_test(what_is_read_is_named_by_slots),
		cmocka_unit_test(readers_are_found_by_what_they_read),
		cmocka_unit_test(what_is_held_stays),
		cmocka_unit_test(what_is_abandoned_cannot_be_named),
		cmocka_unit_test(many_models),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The words of dbt's command line, the same for the command and for the resident program. */
#ifndef BATCHFS_DBT_COMMAND_H
#define BATCHFS_DBT_COMMAND_H

#include "backend/base/error.h"
#include "backend/manifest.h"
#include "backend/store.h"

#define WORDS_MAX 40

struct words {
	char *list[WORDS_MAX + 1]; /* owned; NULL-terminated; list[0] is the command itself */
	size_t n;
	bool broken; /* no memory */
};
void words_fini(struct words *w);
#define auto_words __attribute__((cleanup(words_fini))) struct words

/* dir: where target and logs of this worker are. The batches [first, end) of the model, and nothing else;
 * anew: with --full-refresh, so that dbt makes the table anew with them. */
void words_run(struct words *w, const struct engine_config *config, const char *dir, const struct model *m,
	       struct ordinal_range batches, bool anew);
/* The hours in which the model's table holds rows, a row each; "missing": there is no such table. */
void words_look(struct words *w, const struct engine_config *config, const char *dir, const struct model *m);
/* What warms the resident program up. */
void words_parse(struct words *w, const struct engine_config *config, const char *dir);

/* Without list[0], as a JSON list, to be freed; NULL: no memory. */
char *words_json(const struct words *w);

#endif

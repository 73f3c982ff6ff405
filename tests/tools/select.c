/* SPDX-License-Identifier: Apache-2.0 */
/*
 * select MANIFEST: an expression a line from stdin; for each one line with tabs:
 * "ok", ids of the selected models, directories in order, names not rebuilt, each
 * list with blanks; or "EINVAL" and the reason.
 */
#include <stdio.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "backend/selection.h"

static void print_selection(const struct catalog *c, const struct selection *s)
{
	const char *gap = "";
	printf("ok\t");
	for (size_t i = 0; i < s->n_nodes; i++) {
		const struct node *n = &c->nodes[s->nodes[i]];
		if (strcmp(n->resource_type, "model") == 0) {
			printf("%s%s", gap, n->unique_id);
			gap = " ";
		}
	}
	putchar('\t');
	for (size_t i = 0; i < s->n_models; i++)
		printf("%s%s", i ? " " : "", c->models[s->models[i]].dir);
	putchar('\t');
	for (size_t i = 0; i < s->n_not_rebuilt; i++)
		printf("%s%s", i ? " " : "", s->not_rebuilt[i]);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct catalog *c;
	struct error err = {0};
	auto_free char *line = NULL;
	size_t size = 0;
	ssize_t len;
	if (argc != 2 || manifest_load(argv[1], NULL, &c, &err)) {
		fprintf(stderr, "select: %s\n", argc == 2 ? err.text : "usage: select MANIFEST");
		return 1;
	}
	while ((len = getline(&line, &size, stdin)) >= 0) {
		struct selection s;
		if (len && line[len - 1] == '\n')
			line[len - 1] = '\0';
		if (selection_resolve(c, line, &s, &err))
			printf("%s\t%s\n", error_name(err.err), err.text);
		else
			print_selection(c, &s);
		selection_fini(&s);
	}
	catalog_free(c);
	return 0;
}

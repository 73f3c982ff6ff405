/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "mountopts/option_table.h"
#include "mountopts/options.h"

/* An engine that goes with several stores stands there once for each, one behind the other. */
static bool is_again(const struct engine *const *engines, const struct engine *const *e)
{
	return e > engines && !strcmp(e[-1]->name, e[0]->name);
}

void options_engine_names(const struct engine *const *engines, struct strbuf *out)
{
	for (const struct engine *const *e = engines; *e; e++)
		if (!is_again(engines, e))
			strbuf_printf(out, "%s%s", e == engines ? "" : ", ", (*e)->name);
}

/*
 * Appends the names of the engines that take the option, as in "postgres: "; nothing where every engine takes
 * it.
 */
static void who_takes(const struct option_rule *r, const struct engine *const *engines, struct strbuf *out)
{
	const char *last = NULL;
	for (const struct engine *const *e = engines; *e; e++) {
		if (!r->engine || !((*e)->takes & r->engine) || (last && !strcmp(last, (*e)->name)))
			continue;
		strbuf_printf(out, "%s%s", last ? ", " : "", (*e)->name);
		last = (*e)->name;
	}
	if (last)
		strbuf_puts(out, ": ");
}

/* Appends the engines that build only so many batches side by side, as in "; sqlite: at most 1". */
static void who_limits_jobs(const struct engine *const *engines, struct strbuf *out)
{
	for (const struct engine *const *e = engines; *e; e++)
		if ((*e)->max_jobs)
			strbuf_printf(out, "; %s: at most %u", (*e)->name, (*e)->max_jobs);
}

static void one_option(const struct option_rule *r, const struct engine *const *engines, struct strbuf *out)
{
	size_t before = out->len;
	strbuf_printf(out, "  %s%s%s", r->name, r->value ? "=" : "", r->value ? r->value : "");
	size_t width = out->len - before;
	strbuf_fill(out, ' ', width < 20 ? 20 - width : 1);
	who_takes(r, engines, out);
	strbuf_puts(out, r->help);
	if (r->offset == offsetof(struct options, jobs))
		who_limits_jobs(engines, out);
	if (r->kind == OPTION_ENGINE) {
		strbuf_puts(out, ": ");
		options_engine_names(engines, out);
	}
	strbuf_putc(out, '\n');
}

void options_help(const struct engine *const *engines, struct strbuf *out)
{
	strbuf_puts(
		out,
		"usage: batchfs MANIFEST MOUNTPOINT [-f] [-d] [-o OPTION[,OPTION...]]\n"
		"\n"
		"Mounts a dbt project's microbatch models: a batch is a file, its state the suffix.\n"
		"\n"
		"  MANIFEST          dbt's manifest.json, or the directory that holds it (target/)\n"
		"  MOUNTPOINT        a directory, or /dev/fd/N: a fuse descriptor that is mounted already\n"
		"\n"
		"  -f                stay in the foreground, log to stderr\n"
		"  -d                the same, and log everything, each fuse operation too\n"
		"  -h, --help        this text\n"
		"  -V, --version     the version\n"
		"\n"
		"Options:\n");
	for (const struct option_rule *r = option_rules; r->name; r++)
		if (r->help)
			one_option(r, engines, out);
	strbuf_puts(out, "\nAnd of libfuse and mount(8):\n ");
	size_t line = out->len;
	for (const struct option_rule *r = option_rules; r->name; r++) {
		if (r->help || r->kind == OPTION_IGNORED)
			continue;
		if (out->len - line > 80) {
			strbuf_puts(out, "\n ");
			line = out->len;
		}
		strbuf_printf(out, " %s%s", r->name,
			      r->value || r->kind == OPTION_KERNEL_VALUE || r->kind == OPTION_SUBTYPE ? "="
												      : "");
	}
	strbuf_puts(out, "\n\nPasswords never stand in an option: use libpq's service file or ~/.pgpass.\n"
			 "Unmount with: fusermount3 -u MOUNTPOINT. More in batchfs(1) and batchfs(5).\n");
}

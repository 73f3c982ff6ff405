/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text format of Prometheus (version 0.0.4): a family of samples after its HELP and TYPE lines, a sample
 * a line. What is not known has no sample, so that no alert compares a number that nobody has measured.
 */
#include "backend/report/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void family(struct strbuf *out, const char *name, const char *type, const char *help)
{
	strbuf_printf(out, "# HELP batchfs_%s %s\n# TYPE batchfs_%s %s\n", name, help, name, type);
}

/* In a label's value a backslash, a quote and the end of a line are escaped. */
static void add_escaped(struct strbuf *out, const char *text)
{
	for (size_t plain; *text; text += plain + 1) {
		plain = strcspn(text, "\\\"\n");
		strbuf_add(out, text, plain);
		if (!text[plain])
			return;
		strbuf_putc(out, '\\');
		strbuf_putc(out, text[plain] == '\n' ? 'n' : text[plain]);
	}
}

/* The beginning of a sample of a model: `batchfs_NAME{model="DIR"`. */
static void begin(struct strbuf *out, const char *name, const char *dir)
{
	strbuf_puts(out, "batchfs_");
	strbuf_puts(out, name);
	strbuf_puts(out, "{model=\"");
	add_escaped(out, dir);
	strbuf_putc(out, '"');
}

/* The end of one, with another label before it where there is one. */
static void end(struct strbuf *out, const char *label, const char *value, uint64_t n)
{
	if (label)
		strbuf_printf(out, ",%s=\"%s\"", label, value);
	strbuf_printf(out, "} %" PRIu64 "\n", n);
}

static void end_seconds(struct strbuf *out, uint64_t us)
{
	strbuf_printf(out, "} %" PRIu64 ".%06" PRIu64 "\n", us / 1000000, us % 1000000);
}

static void add_states(const struct report_metrics *m, struct strbuf *out)
{
	family(out, "batches", "gauge", "Batches that exist now, by the state that ls shows.");
	for (size_t i = 0; i < m->n; i++)
		for (int s = 0; s < BATCH_STATES; s++) {
			begin(out, "batches", m->models[i].dir);
			end(out, "state", batch_state_name((enum batch_state)s), m->models[i].states[s]);
		}
}

static void add_times(const struct report_metrics *m, struct strbuf *out)
{
	family(out, "lag_seconds", "gauge",
	       "How long ago that was up to which the model is built without a gap; none where that is not known, or "
	       "where the model cannot be built here.");
	for (size_t i = 0; i < m->n; i++) {
		int64_t until = m->models[i].built_until;
		if (!until)
			continue;
		begin(out, "lag_seconds", m->models[i].dir);
		end_seconds(out, m->now > until ? (uint64_t)(m->now - until) : 0);
	}
	family(out, "oldest_failure_timestamp_seconds", "gauge",
	       "When the first of the batches that are failed now has failed; none where none is.");
	for (size_t i = 0; i < m->n; i++) {
		if (!m->models[i].oldest_failure)
			continue;
		begin(out, "oldest_failure_timestamp_seconds", m->models[i].dir);
		end_seconds(out, (uint64_t)m->models[i].oldest_failure);
	}
}

/* A word stands for several kinds: to be tried again later is a failure, too. */
static bool is_first_of_its_word(int kind)
{
	const char *word = settle_traits((enum settle_kind)kind)->history;

	for (int k = 0; word && k < kind; k++) {
		const char *before = settle_traits((enum settle_kind)k)->history;
		if (before && strcmp(before, word) == 0)
			return false;
	}
	return word != NULL;
}

static uint64_t ended_with(const struct attempt_counts *c, const char *word)
{
	uint64_t n = 0;

	for (int k = 0; k < SETTLE_KINDS; k++) {
		const char *of = settle_traits((enum settle_kind)k)->history;
		if (of && strcmp(of, word) == 0)
			n += c->ended[k];
	}
	return n;
}

static void add_attempts(const struct report_metrics *m, struct strbuf *out)
{
	family(out, "attempts_total", "counter",
	       "Attempts that this daemon has made since it began, by how they have ended (one a line that it has added to "
	       ".history).");
	for (size_t i = 0; i < m->n; i++)
		for (int kind = 0; kind < SETTLE_KINDS; kind++) {
			const char *word = settle_traits((enum settle_kind)kind)->history;
			if (!is_first_of_its_word(kind))
				continue;
			begin(out, "attempts_total", m->models[i].dir);
			end(out, "outcome", word, ended_with(&m->models[i].attempts, word));
		}
	family(out, "build_seconds_total", "counter", "What those attempts took, however they have ended.");
	for (size_t i = 0; i < m->n; i++) {
		begin(out, "build_seconds_total", m->models[i].dir);
		end_seconds(out, m->models[i].attempts.build_us);
	}
	family(out, "rows_inserted_total", "counter", "Rows that those of them have inserted that are done.");
	for (size_t i = 0; i < m->n; i++) {
		begin(out, "rows_inserted_total", m->models[i].dir);
		end(out, NULL, NULL, m->models[i].attempts.rows_inserted);
	}
	family(out, "rows_deleted_total", "counter", "Rows that those of them have deleted that are done.");
	for (size_t i = 0; i < m->n; i++) {
		begin(out, "rows_deleted_total", m->models[i].dir);
		end(out, NULL, NULL, m->models[i].attempts.rows_deleted);
	}
}

/* NULL: of which nobody is the builder. */
static void add_built_by(const struct report_metrics *m, const char *builder, struct strbuf *out)
{
	size_t n = 0;
	for (size_t i = 0; i < m->n; i++) {
		const char *by = m->models[i].builder;
		n += builder && by ? strcmp(by, builder) == 0 : by == builder;
	}
	strbuf_printf(out, "batchfs_models{builder=\"%s\"} %zu\n", builder ? builder : "", n);
}

static void add_mount(const struct report_metrics *m, struct strbuf *out)
{
	family(out, "requests_open", "gauge",
	       "Requests of which something is queued or running, by whatever mount they were made.");
	strbuf_printf(out, "batchfs_requests_open %zu\n", m->requests_open);
	family(out, "warehouse_up", "gauge", "Whether this daemon reaches the warehouse.");
	strbuf_printf(out, "batchfs_warehouse_up %d\n", m->warehouse_up);
	family(out, "manifest_loaded_timestamp_seconds", "gauge",
	       "When the manifest that is in force was read.");
	strbuf_printf(out, "batchfs_manifest_loaded_timestamp_seconds %" PRId64 ".%06" PRId64 "\n",
		      m->manifest_loaded_at / 1000000, m->manifest_loaded_at % 1000000);
	family(out, "manifest_error", "gauge",
	       "Whether the manifest's file is broken, so that an older one stays in force.");
	strbuf_printf(out, "batchfs_manifest_error %d\n", m->manifest_error);
	family(out, "models", "gauge",
	       "Microbatch models, by who builds them; those without a builder cannot be built here.");
	for (size_t i = 0; i < 2 && m->builders[i]; i++)
		add_built_by(m, m->builders[i], out);
	add_built_by(m, NULL, out);
	family(out, "build_info", "gauge", "The program: always 1.");
	strbuf_printf(out, "batchfs_build_info{version=\"%s\",engine=\"%s\",store=\"%s\"} 1\n", m->version,
		      m->engine, m->store);
}

int report_metrics(const struct report_metrics *m, struct strbuf *out)
{
	add_states(m, out);
	add_times(m, out);
	add_attempts(m, out);
	add_mount(m, out);
	return strbuf_broken(out) ? -ENOMEM : 0;
}

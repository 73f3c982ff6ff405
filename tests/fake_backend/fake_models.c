/* SPDX-License-Identifier: Apache-2.0 */
/* What does not change, the documents and the refusals. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/base/cleanup.h"
#include "tests/fake_backend/fake_private.h"

int backend_models(const struct backend *b)
{
	return b->n;
}

int backend_models_present(const struct backend *b)
{
	return b->n;
}

bool backend_gone(const struct backend *b, slot model)
{
	return false;
}

slot backend_find(const struct backend *b, const char *dir)
{
	for (int m = 0; m < b->n; m++)
		if (strcmp(b->tables[m].model.dir, dir) == 0)
			return m;
	return -1;
}

const char *backend_model_dir(const struct backend *b, slot model)
{
	return b->tables[model].model.dir;
}

enum batch_size backend_batch_size(const struct backend *b, slot model)
{
	return b->tables[model].model.size;
}

bool backend_runnable(const struct backend *b, slot model)
{
	return b->tables[model].model.runnable;
}

bool backend_protected(const struct backend *b, slot model)
{
	return b->tables[model].model.protected;
}

bool backend_read_only(const struct backend *b)
{
	return b->read_only;
}

struct ordinal_range backend_existing(const struct backend *b, slot model)
{
	return b->tables[model].model.existing;
}

int backend_batch_document(const struct backend *b, slot model, ordinal batch, struct strbuf *out)
{
	char name[CALENDAR_NAME_MAX];
	struct batch_glance g;
	int r = backend_glance(b, model, batch, &g);

	if (r)
		return r;
	calendar_name(b->tables[model].model.size, batch, name);
	strbuf_printf(out, "{\"model\": \"%s\", \"batch\": \"%s\", \"state\": \"%s\", \"attempt\": %u",
		      b->tables[model].model.dir, name, batch_state_name(g.state), g.attempt);
	if (g.state == BATCH_FAILED) {
		strbuf_puts(out, ", \"error\": \"");
		strbuf_fill(out, 'x', 1000);
		strbuf_putc(out, '"');
	}
	strbuf_fill(out, ' ', g.size - 2 - out->len);
	strbuf_puts(out, "}\n");
	return 0;
}

static void count_states(const struct backend *b, const struct backend_part *p, struct strbuf *out)
{
	slot model = p->model;
	const struct fake_table *t = &b->tables[model];
	unsigned count[BATCH_STATES] = {0}, all = 0;

	LOCKED((pthread_mutex_t *)&b->lock);
	for (ordinal o = p->batches.first; o < p->batches.end; o++) {
		enum batch_state state = t->batches[o - t->model.existing.first].state;
		bool meant = !p->states || (p->states >> state & 1) != 0;
		count[state] += meant;
		all += meant;
	}
	strbuf_printf(out, "{\"batches\": %u, \"states\": {", all);
	for (int s = 0; s < BATCH_STATES; s++)
		strbuf_printf(out, "%s\"%s\": %u", s ? ", " : "", batch_state_name((enum batch_state)s),
			      count[s]);
	strbuf_puts(out, "}}\n");
}

int backend_parts_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			   const struct backend_file *file, struct strbuf *out)
{
	count_states(b, &parts[0], out);
	return 0;
}

int backend_run_document(const struct backend *b, slot model, struct strbuf *out)
{
	return backend_model_status(b, model, out);
}

/* Its tables are what it says. */
void backend_look(struct backend *b, const slot *models, size_t n, bool now,
		  void (*done)(void *ctx, int result), void *ctx)
{
	(void)b;
	(void)models;
	(void)n;
	(void)now;
	if (done)
		done(ctx, 0);
}

void backend_check(struct backend *b, void (*done)(void *ctx), void *ctx)
{
	(void)b;
	done(ctx);
}

/* They find nothing. */
void backend_validate(struct backend *b, const struct backend_part *parts, size_t n_parts, bool wait,
		      void (*done)(void *ctx, int result), void *ctx)
{
	(void)b;
	(void)parts;
	(void)n_parts;
	(void)wait;
	done(ctx, 0);
}

void backend_wait_validated(struct backend *b, const struct backend_part *parts, size_t n_parts,
			    void (*done)(void *ctx, int result), void *ctx)
{
	(void)b;
	(void)parts;
	(void)n_parts;
	done(ctx, 0);
}

int backend_cancel_validation(struct backend *b, const struct backend_part *parts, size_t n_parts)
{
	(void)b;
	(void)parts;
	(void)n_parts;
	return -EPERM;
}

int backend_validation_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
				bool several, bool single, bool json, struct strbuf *out)
{
	(void)b;
	(void)parts;
	(void)several;
	(void)single;
	strbuf_printf(out, json ? "{\"models\": %zu}\n" : "%zu models\n", n_parts);
	return 0;
}

bool backend_looking(const struct backend *b, slot model)
{
	(void)b;
	(void)model;
	return false;
}

int backend_calendar_document(const struct backend *b, const slot *models, size_t n, const char *title,
			      bool svg, struct strbuf *out)
{
	(void)b;
	(void)models;
	strbuf_printf(out, "%s: %zu models, %s\n", title ? title : "all", n, svg ? "svg" : "text");
	return 0;
}

int backend_metrics_document(const struct backend *b, struct strbuf *out)
{
	(void)b;
	strbuf_puts(out, "batchfs_warehouse_up 1\n");
	return 0;
}

int backend_adopt_document(const struct backend *b, const slot *models, size_t n, bool several,
			   const struct backend_file *file, struct strbuf *out)
{
	(void)b;
	(void)models;
	(void)several;
	(void)file;
	strbuf_printf(out, "{\"models\": %zu}\n", n);
	return 0;
}

int backend_model_status(const struct backend *b, slot model, struct strbuf *out)
{
	struct backend_part all = {.model = model, .batches = b->tables[model].model.existing};

	count_states(b, &all, out);
	return 0;
}

int backend_model_document(const struct backend *b, slot model, struct strbuf *out)
{
	strbuf_printf(out, "{\"name\": \"%s\"}\n", b->tables[model].model.dir);
	return 0;
}

int backend_root_status(const struct backend *b, struct strbuf *out)
{
	strbuf_printf(out, "{\"models\": %d}\n", b->n);
	return 0;
}

int backend_full_refresh_document(const struct backend *b, slot model, struct strbuf *out)
{
	strbuf_printf(out, "{\"protected\": %s}\n", b->tables[model].model.protected ? "true" : "false");
	return 0;
}

int backend_full_refreshes_document(const struct backend *b, const slot *models, size_t n,
				    const struct backend_file *file, struct strbuf *out)
{
	(void)file;
	for (size_t i = 0; i < n; i++)
		backend_full_refresh_document(b, models[i], out);
	return 0;
}

void backend_refresh_wait(struct backend *b, const slot *models, size_t n,
			  void (*done)(void *ctx, int result), void *ctx)
{
	(void)b;
	(void)models;
	(void)n;
	done(ctx, 0);
}

int backend_refresh_cancel(struct backend *b, const slot *models, size_t n, uid_t uid, pid_t pid)
{
	(void)b;
	(void)models;
	(void)n;
	(void)uid;
	(void)pid;
	return -EPERM;
}

void backend_refresh_count(const struct backend *b, const slot *models, size_t n,
			   struct backend_refreshed *out)
{
	(void)b;
	(void)models;
	(void)n;
	*out = (struct backend_refreshed){.result = -ENODATA};
}

struct backend_pages {
	unsigned holders;
	struct strbuf text;
};

static struct backend_pages *new_pages(void)
{
	struct backend_pages *p = calloc(1, sizeof *p);

	if (p)
		*p = (struct backend_pages){.holders = 1, .text = STRBUF_INIT};
	return p;
}

int backend_sql_open(const struct backend *b, slot model, struct ordinal_range batches,
		     struct backend_pages **out)
{
	*out = new_pages();
	if (!*out)
		return -ENOMEM;
	for (ordinal o = batches.first; o < batches.end; o++)
		strbuf_printf(&(*out)->text, "insert into %s select %u;\n", b->tables[model].model.dir, o);
	return 0;
}

int backend_run_results_open(const struct backend *b, struct backend_pages **out)
{
	(void)b;
	*out = new_pages();
	if (!*out)
		return -ENOMEM;
	strbuf_puts(&(*out)->text, "{\"results\": []}\n");
	return 0;
}

struct backend_pages *backend_pages_hold(struct backend_pages *p)
{
	__atomic_add_fetch(&p->holders, 1, __ATOMIC_RELAXED);
	return p;
}

void backend_pages_close(struct backend_pages *p)
{
	if (!p || __atomic_sub_fetch(&p->holders, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	strbuf_fini(&p->text);
	free(p);
}

size_t backend_pages_size(const struct backend_pages *p)
{
	return p->text.len;
}

int backend_pages_read(const struct backend_pages *p, size_t off, size_t size, struct strbuf *out)
{
	size_t start = off < p->text.len ? off : p->text.len, left = p->text.len - start;

	strbuf_add(out, p->text.str + start, size < left ? size : left);
	return 0;
}

struct backend_history {
	slot model;
};

struct backend_history *backend_history_open(struct backend *b, slot model)
{
	struct backend_history *h = calloc(1, sizeof *h);
	if (h)
		h->model = model;
	return h;
}

void backend_history_close(struct backend_history *h)
{
	free(h);
}

void backend_history_load(struct backend *b, slot model, void (*done)(void *ctx, int result), void *ctx)
{
	done(ctx, 0);
}

bool backend_history_size(const struct backend *b, slot model, size_t *bytes)
{
	*bytes = 0;
	return true;
}

void backend_history_read(const struct backend_history *h, size_t off, size_t size, struct strbuf *out)
{
}

int backend_refuse(struct backend *b, const struct backend_file *file, uid_t uid, int err, const char *fmt,
		   ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	LOCKED(&b->lock);
	free(b->refusal);
	b->refusal = text;
	return -err;
}

/* There is no graph to select from. */
int backend_select(const struct backend *b, const char *expression, struct backend_selection *out,
		   struct error *err)
{
	*out = (struct backend_selection){.n_models = 0};
	return error_set(err, ENOENT, "%s selects nothing", expression);
}

void backend_selection_fini(struct backend_selection *s)
{
	*s = (struct backend_selection){.n_models = 0};
}

int backend_selection_document(const struct backend *b, const struct backend_selection *s, const char *text,
			       bool status, struct strbuf *out)
{
	return -ENOENT;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the backend's face from which texts are read: documents, statements, histories. It comes with
 * backend.h, whose rules hold here, too.
 */
#ifndef BATCHFS_DOCUMENTS_H
#define BATCHFS_DOCUMENTS_H

#include "backend/base/strbuf.h"
#include "backend/calendar.h"
#include "backend/slot.h"

struct backend;
struct backend_file;
struct backend_part;
struct backend_selection;

/* JSON with a newline at the end, appended to out. 0 or -errno. */
int backend_batch_document(const struct backend *b, slot model, ordinal batch, struct strbuf *out);
/* Of the parts together; touching them would build all of it. */
int backend_parts_document(const struct backend *b, const struct backend_part *parts, size_t n_parts,
			   const struct backend_file *file, struct strbuf *out);
/* Of a model's .run: what would be built is what backend_request.run builds. */
int backend_run_document(const struct backend *b, slot model, struct strbuf *out);
/* Of all of a selection's models, with what it does not rebuild: its .status, or its .run. text: its name;
 * NULL: it is everything. */
int backend_selection_document(const struct backend *b, const struct backend_selection *s, const char *text,
			       bool status, struct strbuf *out);
/* Of looks at the tables: of one model's, or (several) of each. refused: of the file. */
int backend_adopt_document(const struct backend *b, const slot *models, size_t n, bool several,
			   const struct backend_file *file, struct strbuf *out);
int backend_model_document(const struct backend *b, slot model, struct strbuf *out);
int backend_model_status(const struct backend *b, slot model, struct strbuf *out);
int backend_root_status(const struct backend *b, struct strbuf *out);
/*
 * The states of the models' batches in rows and columns, as text or as SVG. title: a model's directory, a
 * selection; NULL: it is of everything.
 */
int backend_calendar_document(const struct backend *b, const slot *models, size_t n, const char *title,
			      bool svg, struct strbuf *out);
/* No JSON: the text format of Prometheus. */
int backend_metrics_document(const struct backend *b, struct strbuf *out);
int backend_full_refresh_document(const struct backend *b, slot model, struct strbuf *out);
/* Of a selection's, each with what the model's own says. */
int backend_full_refreshes_document(const struct backend *b, const slot *models, size_t n,
				    const struct backend_file *file, struct strbuf *out);

/*
 * An open text that may be long: rendered by pieces as it is read, so that its memory does not grow with the
 * text. Any thread.
 */
struct backend_pages;
struct backend_pages *backend_pages_hold(struct backend_pages *p); /* one more to be closed */
void backend_pages_close(struct backend_pages *p);		   /* NULL is fine */

size_t backend_pages_size(const struct backend_pages *p);

/* Appends at most `size` bytes from offset `off` on. -ESTALE: by now the text would be another one. */
int backend_pages_read(const struct backend_pages *p, size_t off, size_t size, struct strbuf *out);

/*
 * The statements that build these batches. Opening and reading take as long as what they render. A model that
 * cannot be built here says why in a comment.
 */
int backend_sql_open(const struct backend *b, slot model, struct ordinal_range batches,
		     struct backend_pages **out);

/*
 * The present state of all batches as dbt's run_results.json. What changes while it is open is seen by who
 * opens it next. Opening takes longer the more has changed since the last time.
 */
int backend_run_results_open(const struct backend *b, struct backend_pages **out);

/*
 * An open .history of a model, or (-1) of all: JSON lines of the attempts that have ended, oldest first. In
 * memory only while it is open; meanwhile lines are appended within a second of the attempt's end, whoever
 * made it. When it has grown too long, its older half goes in one step.
 */
struct backend_history;
struct backend_history *backend_history_open(struct backend *b, slot model); /* NULL: no memory */
void backend_history_close(struct backend_history *h);			     /* NULL is fine */

/*
 * Has the model's history read, as if it were open until then. done() is called once, from another thread or
 * before this returns: 0 when everything that had ended by now is in it, or -errno of the warehouse.
 */
void backend_history_load(struct backend *b, slot model, void (*done)(void *ctx, int result), void *ctx);

/*
 * Its size: of what an open one has now, else when it was last read, 0 if it never was. False: that may have
 * changed since, and backend_history_load() would tell; never where the warehouse cannot be reached.
 */
bool backend_history_size(const struct backend *b, slot model, size_t *bytes);

/* Appends at most `size` bytes from offset `off` on; none at the end. */
void backend_history_read(const struct backend_history *h, size_t off, size_t size, struct strbuf *out);

#endif

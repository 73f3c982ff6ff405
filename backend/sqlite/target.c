/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/sqlite/target.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/note.h"
#include "backend/sqlite/sql.h"
#include "backend/sqlite/time_value.h"

void target_name(struct strbuf *out, const struct model *model)
{
	strbuf_puts(out, "\"main\".");
	db_identifier(out, model->relation.identifier);
}

char *bare_column(const char *event_time)
{
	size_t n = strlen(event_time);
	if (n > 2 && event_time[0] == '"' && event_time[n - 1] == '"' && !memchr(event_time + 1, '"', n - 2))
		return strndup(event_time + 1, n - 2);
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)event_time[i]) && event_time[i] != '_' && !(event_time[i] & 0x80))
			return NULL;
	return n && !isdigit((unsigned char)event_time[0]) ? strdup(event_time) : NULL;
}

void columns_free(char **columns)
{
	for (char **c = columns; c && *c; c++)
		free(*c);
	free(columns);
}

char **columns_copy(char *const *columns)
{
	size_t n = 0;
	while (columns[n])
		n++;
	char **copy = calloc(n + 1, sizeof *copy);
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(columns[i]);
		if (!copy[i]) {
			columns_free(copy);
			return NULL;
		}
	}
	return copy;
}

/* *declared: the declared type of the column, NULL where no column is called so. Caller frees. */
static int read_columns(sqlite3 *db, const char *table, const char *event_time, char ***out, char **declared,
			struct error *err)
{
	auto_stmt *stmt = NULL;
	size_t n = 0;
	int r = db_prepare(db, SQL_TABLE_COLUMNS, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "t", table);
	*out = calloc(1, sizeof **out);
	while (r == 0 && *out && (r = db_step(stmt, err)) == 1) {
		char **more = reallocarray(*out, n + 2, sizeof **out);
		if (!more)
			break;
		*out = more;
		more[n + 1] = NULL;
		more[n] = strdup(db_text(stmt, 0));
		if (!more[n++])
			break;
		if (event_time && !*declared && strcasecmp(db_text(stmt, 0), event_time) == 0)
			*declared = strdup(db_text(stmt, 1));
		r = 0;
	}
	return r == 1 || !*out ? error_set(err, ENOMEM, "no memory") : r;
}

static int look_at_table(sqlite3 *db, const struct model *model, struct target_view *v, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_TABLE_KIND, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "t", model->relation.identifier);
	if (r == 0)
		r = db_step(stmt, err);
	v->exists = r == 1;
	if (r == 1 && strcmp(db_text(stmt, 0), "view") == 0)
		error_set(&v->why_not, EOPNOTSUPP, "%s is a view in this database, not a table",
			  model->relation.identifier);
	return r < 0 ? r : 0;
}

void target_marker(int64_t table_id, char *out)
{
	snprintf(out, MARKER_MAX, "batchfs_known_%" PRId64, table_id);
}

int target_is_known(sqlite3 *db, const struct model *model, int64_t table_id, bool *known, struct error *err)
{
	auto_stmt *stmt = NULL;
	char name[MARKER_MAX];
	target_marker(table_id, name);
	int r = db_prepare(db, SQL_TABLE_MARKER, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "tt", name, model->relation.identifier);
	if (r == 0)
		r = db_step(stmt, err);
	*known = r == 1;
	return r < 0 ? r : 0;
}

static int look_at_marker(sqlite3 *db, const struct model *model, struct target_view *v, struct error *err)
{
	auto_stmt *id = NULL;
	int r = db_prepare(db, SQL_MODEL_ID, &id, err);
	if (r == 0)
		r = db_bind(id, err, "tt", model->relation.identifier, calendar_size_name(model->batch_size));
	if (r == 0)
		r = db_step(id, err);
	if (r <= 0)
		return r;
	v->registered = true;
	v->table_id = sqlite3_column_int64(id, 0);
	return target_is_known(db, model, v->table_id, &v->known, err);
}

static int look_for_other_sizes(sqlite3 *db, const struct model *model, struct target_view *v,
				struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_MODEL_OTHER_SIZES, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "tt", model->relation.identifier,
			    calendar_size_name(model->batch_size));
	if (r == 0)
		r = db_step(stmt, err);
	if (r == 1)
		snprintf(v->other_sizes, sizeof v->other_sizes, "%s", db_text(stmt, 0));
	return r < 0 ? r : 0;
}

static int look_for_index(sqlite3 *db, const char *table, const char *column, bool *found, struct error *err)
{
	auto_stmt *stmt = NULL;
	int r = db_prepare(db, SQL_TABLE_INDEX, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "tt", table, column);
	if (r == 0)
		r = db_step(stmt, err);
	*found = r == 1;
	return r < 0 ? r : 0;
}

static int look_at_time(sqlite3 *db, const struct model *model, const char *column, const char *declared,
			struct target_view *v, struct error *err)
{
	auto_strbuf name = STRBUF_INIT;
	int64_t last;
	if (column && !declared) {
		error_set(&v->why_not, EOPNOTSUPP, "%s has no column %s, the model's event_time",
			  model->relation.identifier, model->event_time);
		return 0;
	}
	target_name(&name, model);
	if (strbuf_broken(&name))
		return error_set(err, ENOMEM, "no memory");
	int r = time_probe(db, name.str, model->event_time, &v->type, &last, &v->why_not);
	if (r < 0) {
		*err = v->why_not;
		return r;
	}
	if (v->type == TIME_UNKNOWN && declared && *declared)
		v->type = time_declared_type(declared);
	if (v->type == TIME_UNSUPPORTED && !v->why_not.err)
		error_set(&v->why_not, EOPNOTSUPP,
			  "%s: %s is declared %s; an event_time in SQLite is text 'YYYY-MM-DD[ "
			  "HH:MM:SS[.ffffff]]' in "
			  "UTC, or whole seconds since 1970 as INTEGER",
			  model->relation.identifier, model->event_time, declared);
	return 0;
}

int target_glance(sqlite3 *db, const struct model *model, bool registered_tables, struct target_view *out,
		  struct error *err)
{
	auto_free char *column = bare_column(model->event_time);
	int r = registered_tables ? look_at_marker(db, model, out, err) : 0;
	if (r == 0 && registered_tables)
		r = look_for_other_sizes(db, model, out, err);
	if (r == 0)
		r = look_at_table(db, model, out, err);
	if (r == 0 && out->exists && column)
		r = look_for_index(db, model->relation.identifier, column, &out->indexed, err);
	return r;
}

int target_look(sqlite3 *db, const struct model *model, bool registered_tables, struct target_view *out,
		struct error *err)
{
	struct error own = {0};
	*out = (struct target_view){.type = TIME_UNKNOWN};
	auto_free char *column = bare_column(model->event_time);
	auto_free char *declared = NULL;
	if (!err)
		err = &own;
	int r = target_glance(db, model, registered_tables, out, err);
	if (r == 0 && out->exists && !out->why_not.err)
		r = read_columns(db, model->relation.identifier, column, &out->columns, &declared, err);
	if (r == 0 && out->exists && !out->why_not.err)
		r = look_at_time(db, model, column, declared, out, err);
	return r;
}

void target_view_fini(struct target_view *v)
{
	columns_free(v->columns);
	v->columns = NULL;
}

void target_learn(struct store *s, slot model, struct target_view *v)
{
	LOCKED(&s->lock);
	struct target *t = &warehouse_of(s)->targets[model];
	t->exists = v->exists;
	t->registered = v->registered;
	t->known = v->known;
	s->models[model].is_void = !v->known && (v->exists || v->registered);
	if (v->registered)
		s->models[model].table_id = v->table_id;
	if (v->type != TIME_UNKNOWN || !v->exists)
		t->type = v->type;
	if (v->columns) {
		columns_free(t->columns);
		t->columns = v->columns;
		v->columns = NULL;
	}
}

enum time_type target_type(struct store *s, slot model)
{
	LOCKED(&s->lock);
	return warehouse_of(s)->targets[model].type;
}

void target_learn_inputs(struct store *s, struct edition *e, enum time_type *types)
{
	LOCKED(&s->lock);
	free(e->input_types);
	e->input_types = types;
}

void target_answer(const struct target_view *v, struct store_target *out)
{
	*out = (struct store_target){
		.exists = v->exists,
		.lookable = !v->why_not.err,
		.look = !v->why_not.err && (v->exists || v->registered) && !v->known,
		.event_time_type = v->type,
		.strategy = "delete+insert",
		.why_not = v->why_not,
	};
	if (*v->other_sizes)
		snprintf(out->notes, sizeof out->notes, NOTE_OTHER_SIZES, v->other_sizes);
	size_t len = strlen(out->notes);
	if (v->exists && !v->indexed && !v->why_not.err)
		snprintf(
			out->notes + len, sizeof out->notes - len,
			"no index of the target leads with its event_time: each batch reads the whole table\n");
}

void target_busy(struct store *s, slot model, bool begins)
{
	LOCKED(&s->lock);
	struct target *t = &warehouse_of(s)->targets[model];
	if (begins)
		t->busy++;
	else
		t->busy--;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the inputs' event_time columns really hold. */
#include <string.h>

#include "backend/sqlite/sql.h"
#include "backend/sqlite/target.h"
#include "backend/sqlite/time_value.h"

/* *declared: of a plain column. Caller frees. 0 or 1: whether there is such a table or view. */
static int find_input(sqlite3 *db, const struct input *in, char **declared, struct error *err)
{
	auto_stmt *table = NULL, *stmt = NULL;
	auto_free char *column = bare_column(in->event_time);
	int r = db_prepare(db, SQL_TABLE_KIND, &table, err);
	if (r == 0)
		r = db_bind(table, err, "t", in->relation.identifier);
	if (r == 0)
		r = db_step(table, err);
	if (r <= 0 || !column)
		return r;
	r = db_prepare(db, SQL_COLUMN_TYPE, &stmt, err);
	if (r == 0)
		r = db_bind(stmt, err, "tt", in->relation.identifier, column);
	if (r == 0)
		r = db_step(stmt, err);
	if (r == 1)
		*declared = strdup(db_text(stmt, 0));
	return r < 0 ? r : 1;
}

static int look(sqlite3 *db, const struct input *in, enum time_type *type, int64_t *last_us,
		struct error *unfit, struct error *err)
{
	auto_free char *declared = NULL;
	auto_strbuf name = STRBUF_INIT;
	int found = find_input(db, in, &declared, err);
	if (found < 0)
		return found;
	if (found == 0) {
		error_set(unfit, ENOENT, "the input %s does not exist in this database",
			  in->relation.identifier);
		return 0;
	}
	strbuf_puts(&name, "\"main\".");
	db_identifier(&name, in->relation.identifier);
	if (strbuf_broken(&name))
		return error_set(err, ENOMEM, "no memory");
	struct error why = {0};
	int r = time_probe(db, name.str, in->event_time, type, last_us, &why);
	if (r == -EINVAL) { /* no such column, a broken view: the model's business */
		*unfit = why;
		error_prefix(unfit, "input %s: ", in->relation.identifier);
		return 0;
	}
	if (r < 0) {
		*err = why;
		return r;
	}
	if (*type == TIME_UNKNOWN)
		*type = time_declared_type(declared);
	if (*type == TIME_UNSUPPORTED) {
		if (!why.err)
			error_set(&why, EOPNOTSUPP, "%s: %s is declared %s, which cannot hold an event_time",
				  name.str, in->event_time, declared ? declared : "(nothing)");
		*unfit = why;
	}
	return 0;
}

int input_look(sqlite3 *db, const struct model *model, enum time_type of_target, enum time_type *types,
	       int64_t *last_us, struct error *unfit, struct error *err)
{
	enum time_type other = of_target;
	struct error own = {0};
	*last_us = INT64_MIN;
	*unfit = (struct error){0};
	if (!err)
		err = &own;
	for (size_t i = 0; i < model->n_inputs; i++) {
		const struct input *in = &model->inputs[i];
		int64_t last = INT64_MIN;
		struct error why = {0};
		types[i] = TIME_UNKNOWN;
		if (!in->event_time || !in->filtered || in->ephemeral)
			continue;
		int r = look(db, in, &types[i], &last, &why, err);
		if (r < 0)
			return r;
		if (why.err && !unfit->err)
			*unfit = why;
		if (*last_us == INT64_MIN)
			*last_us = last;
		if (other == TIME_UNKNOWN && types[i] != TIME_UNSUPPORTED)
			other = types[i];
	}
	for (size_t i = 0; i < model->n_inputs; i++)
		if (model->inputs[i].ephemeral && model->inputs[i].event_time)
			types[i] = other == TIME_UNKNOWN ? TIME_TEXT : other;
	return 0;
}

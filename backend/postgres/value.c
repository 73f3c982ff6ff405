/* SPDX-License-Identifier: Apache-2.0 */
/* Parameters, arrays and values of results, all as text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/postgres/value.h"

void pg_param_text(struct pg_params *p, const char *text)
{
	p->value[p->n++] = text;
}

void pg_param_int(struct pg_params *p, int64_t value)
{
	char *text = p->text[p->n];
	snprintf(text, sizeof p->text[0], "%" PRId64, value);
	pg_param_text(p, text);
}

static void format_time(int64_t us, char *text)
{
	size_t n = calendar_format_sql(us, text);
	memcpy(text + n, "+00", sizeof "+00");
}

void pg_param_time(struct pg_params *p, int64_t us)
{
	char *text = p->text[p->n];
	format_time(us, text);
	pg_param_text(p, text);
}

static void next_element(struct strbuf *b)
{
	strbuf_putc(b, b->len ? ',' : '{');
}

void pg_array_text(struct strbuf *b, const char *text)
{
	next_element(b);
	if (!text) {
		strbuf_puts(b, "NULL");
		return;
	}
	strbuf_putc(b, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			strbuf_putc(b, '\\');
		strbuf_putc(b, *text);
	}
	strbuf_putc(b, '"');
}

void pg_array_int(struct strbuf *b, int64_t value)
{
	next_element(b);
	strbuf_printf(b, "%" PRId64, value);
}

void pg_array_time(struct strbuf *b, int64_t us)
{
	char text[CALENDAR_TIME_MAX + 4];
	format_time(us, text);
	next_element(b);
	strbuf_printf(b, "\"%s\"", text);
}

void pg_array_end(struct strbuf *b)
{
	strbuf_puts(b, b->len ? "}" : "{}");
}

void pg_columns_init(struct pg_columns *c, size_t n)
{
	c->n = n;
	for (size_t i = 0; i < n; i++)
		c->column[i] = (struct strbuf)STRBUF_INIT;
}

void pg_columns_end(struct pg_columns *c)
{
	for (size_t i = 0; i < c->n; i++)
		pg_array_end(&c->column[i]);
}

bool pg_columns_broken(const struct pg_columns *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (strbuf_broken(&c->column[i]))
			return true;
	return false;
}

void pg_param_columns(struct pg_params *p, const struct pg_columns *c, size_t first, size_t n)
{
	for (size_t i = first; i < first + n; i++)
		pg_param_text(p, c->column[i].str);
}

void pg_columns_fini(struct pg_columns *c)
{
	for (size_t i = 0; i < c->n; i++)
		strbuf_fini(&c->column[i]);
	c->n = 0;
}

void pg_result_clear(PGresult **r)
{
	PQclear(*r);
}

bool pg_null(const PGresult *r, int row, int col)
{
	return row >= PQntuples(r) || col >= PQnfields(r) || PQgetisnull(r, row, col);
}

const char *pg_text(const PGresult *r, int row, int col)
{
	return pg_null(r, row, col) ? "" : PQgetvalue(r, row, col);
}

int64_t pg_int(const PGresult *r, int row, int col)
{
	return strtoll(pg_text(r, row, col), NULL, 10);
}

int64_t pg_count(const PGresult *r, int row, int col)
{
	return pg_null(r, row, col) ? -1 : pg_int(r, row, col);
}

int64_t pg_time(const PGresult *r, int row, int col)
{
	int64_t us = 0;
	return calendar_parse_instant(pg_text(r, row, col), &us) ? us : 0;
}

bool pg_bool(const PGresult *r, int row, int col)
{
	return *pg_text(r, row, col) == 't';
}

void pg_one_line(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		char c = *from == '\n' || *from == '\t' ? ' ' : *from;
		if (c == ' ' && (to == text || to[-1] == ' '))
			continue;
		*to++ = c;
	}
	while (to > text && to[-1] == ' ')
		to--;
	*to = '\0';
}

int pg_error(struct error *err, int code, const PGresult *r)
{
	static const int fields[] = {PG_DIAG_MESSAGE_PRIMARY, PG_DIAG_MESSAGE_DETAIL, PG_DIAG_MESSAGE_HINT};
	char text[2000] = "";
	size_t n = 0;
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		const char *part = PQresultErrorField(r, fields[i]);
		if (!part || n >= sizeof text)
			continue;
		bool stopped = n > 0 && text[n - 1] == '.';
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%s",
				      n == 0	? ""
				      : stopped ? " "
						: ". ",
				      part);
		if (n >= sizeof text)
			n = sizeof text - 1;
	}
	if (n == 0)
		snprintf(text, sizeof text, "%s", PQresultErrorMessage(r));
	pg_one_line(text);
	return error_sql(err, code, PQresultErrorField(r, PG_DIAG_SQLSTATE), "%s", text);
}

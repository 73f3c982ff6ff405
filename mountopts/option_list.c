/* SPDX-License-Identifier: Apache-2.0 */
#include "mountopts/option_list.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backend/base/cleanup.h"
#include "backend/calendar.h"
#include "mountopts/option_table.h"

/* One option, taken apart. */
struct word {
	const char *name;
	size_t len;
	const char *value; /* NULL: no '=' */
};

/* How many bytes of an unknown option's name a message shows: the name may be a pasted connection string. */
#define SHOWN_MAX 40

/*
 * Whether the option names a password, or its value is a connection string of libpq with one in it ("host=x
 * password=y", "postgres://user:pw@host").
 */
static bool may_hold_password(const struct word *w)
{
	const char *word = strcasestr(w->name, "passw");
	if (word && (size_t)(word - w->name) < w->len)
		return true;
	const char *scheme = strstr(w->name, "://");
	if (scheme && strchr(scheme, '@'))
		return true;
	const char *key = w->value ? strcasestr(w->value, "password") : NULL;
	for (; key; key = strcasestr(key, "password")) {
		key += strlen("password");
		if (key[strspn(key, " ")] == '=')
			return true;
	}
	return false;
}

static int refuse_password(struct error *err)
{
	return error_set(err, EINVAL,
			 "an option holds a password, which everybody can read in the list of processes: "
			 "put it into the service file or the password file (~/.pgpass) of libpq");
}

static int bad_value(struct error *err, const struct word *w, const char *accepted)
{
	return error_set(err, EINVAL, "%.*s=%s: %s", (int)w->len, w->name, w->value, accepted);
}

static int set_text(char **to, const char *text, struct error *err)
{
	char *copy = strdup(text);
	if (!copy)
		return error_set(err, ENOMEM, "out of memory");
	free(*to);
	*to = copy;
	return 0;
}

static bool parse_long(const char *text, int base, long min, long max, long *out)
{
	if (*text < '0' || *text > '9')
		return false;
	char *end;
	errno = 0;
	long value = strtol(text, &end, base);
	if (errno || *end || value < min || value > max)
		return false;
	*out = value;
	return true;
}

static int set_number(const struct option_rule *r, const struct word *w, int base, long *to,
		      struct error *err)
{
	if (parse_long(w->value, base, r->min, r->max, to))
		return 0;
	char accepted[96];
	if (base == 8)
		snprintf(accepted, sizeof accepted, "an octal number from %lo to %lo", (unsigned long)r->min,
			 (unsigned long)r->max);
	else
		snprintf(accepted, sizeof accepted, "a whole number from %ld to %ld", r->min, r->max);
	return bad_value(err, w, accepted);
}

static bool user_id(const char *name, long *out)
{
	char buf[4096];
	struct passwd entry, *found = NULL;
	if (getpwnam_r(name, &entry, buf, sizeof buf, &found) || !found)
		return false;
	*out = (long)found->pw_uid;
	return true;
}

static bool group_id(const char *name, long *out)
{
	char buf[16384];
	struct group entry, *found = NULL;
	if (getgrnam_r(name, &entry, buf, sizeof buf, &found) || !found)
		return false;
	*out = (long)found->gr_gid;
	return true;
}

static int set_id(const struct option_rule *r, const struct word *w, long *to, struct error *err)
{
	if (parse_long(w->value, 10, r->min, r->max, to))
		return 0;
	bool user = r->kind == OPTION_USER;
	if (user ? user_id(w->value, to) : group_id(w->value, to))
		return 0;
	return bad_value(err, w,
			 user ? "no such user; a number or a name" : "no such group; a number or a name");
}

static int set_time(const struct word *w, struct options *o, struct error *err)
{
	int64_t wall;
	int32_t offset_s;
	if (!calendar_parse_time(w->value, &wall, &offset_s))
		return bad_value(err, w,
				 "an ISO 8601 time: 2024-09-04, 2024-09-04T12:00, 2024-09-04T12:00:00+02:00");
	o->now_us = wall - (int64_t)offset_s * 1000000;
	o->now_given = true;
	return 0;
}

static int set_engine(const struct word *w, const struct engine *const *engines, char **to, struct error *err)
{
	for (const struct engine *const *e = engines; *e; e++)
		if (!strcmp((*e)->name, w->value))
			return set_text(to, w->value, err);
	auto_strbuf names = STRBUF_INIT;
	strbuf_puts(&names, "one of ");
	options_engine_names(engines, &names);
	return bad_value(err, w, names.str);
}

/* LOG_BY_PLACE has none. */
static const char *const log_option_words[LOG_OPTIONS] = {
	[LOG_TO_STDERR] = "stderr", [LOG_TO_JSON] = "json", [LOG_TO_SYSLOG] = "syslog"};

static int set_log(const struct word *w, enum log_option *to, struct error *err)
{
	for (int i = 0; i < LOG_OPTIONS; i++)
		if (log_option_words[i] && !strcmp(log_option_words[i], w->value)) {
			*to = (enum log_option)i;
			return 0;
		}
	return bad_value(err, w, "stderr, syslog or json");
}

static void pass_on(const struct word *w, struct strbuf *kernel)
{
	if (kernel->len)
		strbuf_putc(kernel, ',');
	strbuf_add(kernel, w->name, w->len);
	if (!w->value)
		return;
	strbuf_putc(kernel, '=');
	for (const char *p = w->value; *p; p++) {
		if (*p == ',' || *p == '\\')
			strbuf_putc(kernel, '\\');
		strbuf_putc(kernel, *p);
	}
}

static int unknown(const struct word *w, struct error *err)
{
	static const char *const connection[] = {"host", "hostaddr", "port", "dbname",
						 "user", "sslmode",  "dsn",  "conninfo"};
	int len = (int)(w->len < SHOWN_MAX ? w->len : SHOWN_MAX);
	for (size_t i = 0; i < sizeof connection / sizeof connection[0]; i++)
		if (strlen(connection[i]) == w->len && !strncmp(connection[i], w->name, w->len))
			return error_set(
				err, EINVAL,
				"%.*s: a connection is given by service=NAME or by the PG* variables", len,
				w->name);
	auto_strbuf known = STRBUF_INIT;
	for (const struct option_rule *r = option_rules; r->name; r++)
		if (r->help)
			strbuf_printf(&known, "%s%s%s", known.len ? ", " : "", r->name, r->value ? "=" : "");
	return error_set(err, EINVAL, "%.*s: unknown option; known are %s, and those of fuse and fstab", len,
			 w->name, known.str);
}

/* -EINVAL: the option needs a value and has none, or takes none and has one. */
static int check_shape(const struct option_rule *r, const struct word *w, struct error *err)
{
	bool plain = r->kind == OPTION_ON || r->kind == OPTION_OFF || r->kind == OPTION_KERNEL;
	if (plain && w->value)
		return error_set(err, EINVAL, "%s takes no value", r->name);
	if (!plain && r->kind != OPTION_IGNORED && (!w->value || !*w->value))
		return error_set(err, EINVAL, "%s needs a value: %s=%s", r->name, r->name,
				 r->value ? r->value : "...");
	return 0;
}

static int apply(const struct option_rule *r, const struct word *w, const struct engine *const *engines,
		 struct options *o, struct error *err)
{
	void *field = (char *)o + r->offset;
	switch (r->kind) {
	case OPTION_TEXT:
		return set_text(field, w->value, err);
	case OPTION_ENGINE:
		return set_engine(w, engines, field, err);
	case OPTION_LOG:
		return set_log(w, field, err);
	case OPTION_NUMBER:
		return set_number(r, w, 10, field, err);
	case OPTION_OCTAL:
		return set_number(r, w, 8, field, err);
	case OPTION_USER:
	case OPTION_GROUP:
		return set_id(r, w, field, err);
	case OPTION_TIME:
		return set_time(w, o, err);
	case OPTION_ON:
	case OPTION_OFF:
		*(bool *)field = r->kind == OPTION_ON;
		return 0;
	case OPTION_SUBTYPE:
		return strcmp(w->value, "batchfs")
			       ? bad_value(err, w, "batchfs, by which its mounts are known")
			       : 0;
	case OPTION_KERNEL:
	case OPTION_KERNEL_VALUE:
		pass_on(w, &o->kernel);
		return 0;
	case OPTION_IGNORED:
		return 0;
	}
	return 0;
}

static int take(const char *text, bool helper, const struct engine *const *engines, struct options *o,
		struct error *err)
{
	const char *equals = strchr(text, '=');
	struct word w = {
		.name = text,
		.len = equals ? (size_t)(equals - text) : strlen(text),
		.value = equals ? equals + 1 : NULL,
	};
	if (!*text)
		return 0;
	const struct option_rule *r = option_find(w.name, w.len);
	bool mount_user = helper && w.len == strlen("user") && !strncmp(w.name, "user", w.len);
	if (mount_user || (r && r->kind == OPTION_IGNORED && strncmp(w.name, "user", w.len)))
		return 0;
	if (may_hold_password(&w))
		return refuse_password(err);
	if (!r || (r->kind == OPTION_IGNORED && w.value))
		return unknown(&w, err);
	int rc = check_shape(r, &w, err);
	return rc ? rc : apply(r, &w, engines, o, err);
}

int option_list_parse(const char *list, bool helper, const struct engine *const *engines, struct options *o,
		      struct error *err)
{
	auto_strbuf one = STRBUF_INIT;
	const char *p = list;
	for (;;) {
		strbuf_clear(&one);
		for (; *p && *p != ','; p++) {
			if (*p == '\\' && p[1])
				p++;
			strbuf_putc(&one, *p);
		}
		if (strbuf_broken(&one))
			return error_set(err, ENOMEM, "out of memory");
		int rc = take(one.str, helper, engines, o, err);
		if (rc)
			return rc;
		if (!*p++)
			return 0;
	}
}

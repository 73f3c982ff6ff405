/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/base/cleanup.h"
#include "backend/base/strbuf.h"
#include "backend/manifest/steps.h"

#define SQL_BYTES_MAX (16 * 1024 * 1024)

static bool is_blank(const char *text)
{
	while (isspace((unsigned char)*text))
		text++;
	return !*text;
}

/* The content of a file, in the arena; NULL: it cannot be read, or is no regular file, or holds a NUL. */
static char *read_file(struct loader *l, const char *path)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > SQL_BYTES_MAX)
		return NULL;
	char *text = arena_alloc(l->arena, (size_t)st.st_size + 1, 1);
	size_t have = 0;
	while (text && have < (size_t)st.st_size) {
		ssize_t n = read(fd, text + have, (size_t)st.st_size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return NULL;
		have += (size_t)n;
	}
	return text && strlen(text) == have ? text : NULL;
}

/* compiled_path is relative to the project's directory, the parent of target/. */
static char *read_compiled_path(struct loader *l, const char *path)
{
	static const char *const bases[] = {"/..", ""};
	if (path[0] == '/')
		return read_file(l, path);
	char *text = NULL;
	for (size_t i = 0; !text && i < sizeof(bases) / sizeof(*bases); i++) {
		auto_strbuf full = STRBUF_INIT;
		strbuf_printf(&full, "%s%s/%s", l->dir, bases[i], path);
		if (!strbuf_broken(&full))
			text = read_file(l, full.str);
	}
	return text;
}

/* Appends what stands for this model alone behind `dbt compile --select`. */
static void selector(const struct model *m, struct strbuf *out)
{
	size_t name = strlen(m->name);
	if (strncmp(m->dir, m->name, name) == 0 && (!m->dir[name] || m->version)) {
		strbuf_puts(out, m->dir);
		return;
	}
	for (const char **part = m->fqn; *part; part++)
		strbuf_printf(out, "%s%s", part == m->fqn ? "" : ".", *part);
}

int load_compiled(struct loader *l, struct model *m)
{
	struct place at = loader_place(l, (size_t)m->node);
	const char *code, *path, *language;
	int r = get_string(&at, "compiled_code", &code);
	if (!r)
		r = get_string(&at, "compiled_path", &path);
	if (!r)
		r = get_string(&at, "language", &language);
	if (r)
		return r;
	if (language && strcmp(language, "sql") != 0) {
		need(l, m, NEED_LANGUAGE, NULL, language);
		return loader_check(l);
	}
	if (code && !is_blank(code))
		m->compiled = arena_strdup(l->arena, code);
	else if (path && *path)
		m->compiled = read_compiled_path(l, path);
	if (m->compiled && is_blank(m->compiled))
		m->compiled = NULL;
	m->compiled_at = m->compiled ? l->written_at : 0;
	if (!m->compiled && l->memory) {
		const char *known =
			l->memory->recall(l->memory->ctx, m->unique_id, m->made_of, &m->compiled_at);
		m->compiled = arena_strdup(l->arena, known);
		m->remembered = known != NULL;
	}
	if (!m->compiled) {
		auto_strbuf select = STRBUF_INIT;
		selector(m, &select);
		need(l, m, NEED_COMPILED_SQL, NULL, select.str);
	}
	return loader_check(l);
}

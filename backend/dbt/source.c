/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/dbt/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/base/cleanup.h"
#include "backend/base/sha256.h"
#include "backend/base/strbuf.h"

#define SOURCE_MAX (16 << 20)

/* What Python's str.strip() takes away of ASCII. */
static bool is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static int read_file(const char *path, struct strbuf *out)
{
	auto_file FILE *f = fopen(path, "re");
	struct stat st;
	char part[8192];
	size_t n;
	if (!f || fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > SOURCE_MAX)
		return -ENOENT;
	while ((n = fread(part, 1, sizeof part, f)) > 0)
		strbuf_add(out, part, n);
	return ferror(f) || strbuf_broken(out) ? -EIO : 0;
}

/* dbt 1.x hashes the text without the white space around it (parser/read_files.py). */
static bool is_same(const struct strbuf *text, const char *checksum)
{
	const char *at = text->str;
	size_t len = text->len;
	char now[65];
	while (len && is_space((unsigned char)at[len - 1]))
		len--;
	while (len && is_space((unsigned char)*at)) {
		at++;
		len--;
	}
	/* White space that is no ASCII is taken away, too: nobody can tell. */
	if (!len || *at & 0x80 || at[len - 1] & 0x80)
		return true;
	sha256_hex(at, len, now);
	return strcmp(now, checksum) == 0;
}

int source_check(const char *project, const struct model *m, struct error *err)
{
	auto_strbuf path = STRBUF_INIT, text = STRBUF_INIT;
	bool known = m->catalog && strncmp(m->catalog->dbt_version, "1.", 2) == 0 &&
		     strcmp(m->package, m->catalog->project) == 0 && strlen(m->checksum) == 64 &&
		     m->original_path && *m->original_path;
	if (!known)
		return 0;
	strbuf_printf(&path, "%s/%s", project, m->original_path);
	if (strbuf_broken(&path) || read_file(path.str, &text) < 0 || !text.len ||
	    is_same(&text, m->checksum))
		return 0;
	return error_set(err, ESTALE,
			 "%s " SOURCE_MOVED
			 ", so that dbt would build other SQL than is shown here: say `dbt compile`",
			 m->original_path);
}

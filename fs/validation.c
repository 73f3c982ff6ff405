/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/validation.h"

#include "fs/private.h"
#include "fs/scope.h"

static int render(struct fs *fs, const struct node *n, bool json, struct strbuf *out)
{
	auto_scope struct scope scope = {.n = 0};
	int r = fs_scope(fs, n, &scope);

	if (r)
		return r;
	return backend_validation_document(fs->backend, scope_list(&scope), scope.n, n->model < 0,
					   scope.single, json, out);
}

int validation_table(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return render(fs, n, false, out);
}

int validation_json(struct fs *fs, const struct node *n, struct strbuf *out)
{
	return render(fs, n, true, out);
}

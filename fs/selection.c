/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/selection.h"

#include <stdlib.h>
#include <string.h>

struct selection_dir *selection_new(const char *text, struct backend_selection *selected)
{
	size_t len = strlen(text) + 1;
	struct selection_dir *s = malloc(sizeof(*s) + len);

	if (!s) {
		backend_selection_fini(selected);
		return NULL;
	}
	s->selected = *selected;
	s->holders = 1;
	s->size = sizeof(*s) + len + selected->n_models * sizeof(selected->models[0]);
	memcpy(s->text, text, len);
	*selected = (struct backend_selection){.n_models = 0};
	return s;
}

void selection_hold(struct selection_dir *s)
{
	__atomic_add_fetch(&s->holders, 1, __ATOMIC_RELAXED);
}

void selection_put(struct selection_dir *s)
{
	if (!s || __atomic_sub_fetch(&s->holders, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	backend_selection_fini(&s->selected);
	free(s);
}

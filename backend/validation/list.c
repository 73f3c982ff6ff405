/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/validation/list.h"

#include <stdlib.h>
#include <string.h>

static void record_free(struct validation_record *r)
{
	if (!r)
		return;
	findings_fini(&r->findings);
	free(r->waits_for);
	free(r);
}

static void remove_at(struct validation_list *l, size_t i)
{
	record_free(l->list[i]);
	memmove(&l->list[i], &l->list[i + 1], (l->n - i - 1) * sizeof l->list[0]);
	l->n--;
}

struct validation_record *validation_list_find(const struct validation_list *l, int64_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i]->v.id == id)
			return l->list[i];
	return NULL;
}

void validation_list_remove(struct validation_list *l, int64_t id)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->list[i]->v.id == id) {
			remove_at(l, i);
			return;
		}
}

/* NULL: no memory. */
static struct validation_record *insert(struct validation_list *l, int64_t id)
{
	struct validation_record **list = reallocarray(l->list, l->n + 1, sizeof *list);
	struct validation_record *r = calloc(1, sizeof *r);
	size_t i = l->n;
	if (list)
		l->list = list;
	if (!list || !r) {
		free(r);
		return NULL;
	}
	for (; i > 0 && list[i - 1]->v.id > id; i--)
		list[i] = list[i - 1];
	list[i] = r;
	r->v.id = id;
	l->n++;
	return r;
}

/* Whether a later one has looked at all that the earlier one had looked at. */
static bool replaces(const struct store_validation *later, const struct store_validation *earlier)
{
	bool over = later->state == VALIDATION_DONE && earlier->state == VALIDATION_DONE;
	if (!over || later->id <= earlier->id ||
	    (validation_is_whole(earlier) && !validation_is_whole(later)))
		return false;
	return validation_is_whole(later) ||
	       (later->looked.first <= earlier->looked.first && later->looked.end >= earlier->looked.end);
}

static void drop_replaced(struct validation_list *l)
{
	size_t done = 0;
	for (size_t i = l->n; i-- > 0;) {
		bool replaced = false;
		for (size_t k = i + 1; k < l->n && !replaced; k++)
			replaced = replaces(&l->list[k]->v, &l->list[i]->v);
		done += l->list[i]->v.state == VALIDATION_DONE && !replaced;
		if (replaced || (l->list[i]->v.state == VALIDATION_DONE && done > VALIDATIONS_KEPT))
			remove_at(l, i);
	}
}

static int put_failed(struct validation_list *l, const struct store_validation *v)
{
	char *why = strdup(v->message);
	if (!why)
		return -ENOMEM;
	free(l->failed);
	l->failed = why;
	l->failed_at = v->at;
	l->failed_id = v->id;
	return 0;
}

int validation_list_put(struct validation_list *l, enum batch_size size, const struct store_validation *v)
{
	struct findings findings = {.n = 0};
	int r = 0;
	if (v->state == VALIDATION_CANCELLED || v->state == VALIDATION_FAILED) {
		validation_list_remove(l, v->id);
		return v->state == VALIDATION_FAILED && v->id > l->failed_id ? put_failed(l, v) : 0;
	}
	if (v->state == VALIDATION_DONE)
		r = findings_parse(v->findings, size, &findings);
	struct validation_record *record = r ? NULL : validation_list_find(l, v->id);
	if (!r && !record)
		record = insert(l, v->id);
	if (!record) {
		findings_fini(&findings);
		return r ? r : -ENOMEM;
	}
	findings_fini(&record->findings);
	record->findings = findings;
	record->v = *v;
	record->v.findings = record->v.message = NULL;
	record->stale = false;
	drop_replaced(l);
	return 0;
}

void validation_list_forget(struct validation_list *l)
{
	for (size_t i = l->n; i-- > 0;)
		if (l->list[i]->v.state == VALIDATION_DONE)
			remove_at(l, i);
	free(l->failed);
	l->failed = NULL;
}

void validation_list_fini(struct validation_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		record_free(l->list[i]);
	free(l->list);
	free(l->failed);
	*l = (struct validation_list){.n = 0};
}

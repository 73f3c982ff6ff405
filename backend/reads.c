/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/reads.h"

#include <stdlib.h>

bool reads_init(struct reads *r, const struct catalog *c)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n_models; i++)
		n += c->models[i].n_upstreams;
	*r = (struct reads){.first_read = calloc(c->n_models + 1, sizeof *r->first_read),
			    .read = calloc(n + 1, sizeof *r->read),
			    .first_reader = calloc(c->n_models + 1, sizeof *r->first_reader),
			    .reader = calloc(n + 1, sizeof *r->reader)};
	if (r->first_read && r->read && r->first_reader && r->reader)
		return true;
	reads_fini(r);
	return false;
}

void reads_fini(struct reads *r)
{
	free(r->first_read);
	free(r->read);
	free(r->first_reader);
	free(r->reader);
	*r = (struct reads){0};
}

static void number_reads(struct reads *r, const struct catalog *c, const slot *slots)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n_models; i++) {
		const struct model *m = &c->models[i];
		r->first_read[i] = n;
		for (size_t j = 0; j < m->n_upstreams; j++)
			r->read[n++] = (struct model_read){.model = slots[m->upstreams[j].place],
							   .windowed = m->upstreams[j].windowed};
	}
	r->first_read[c->n_models] = n;
}

static void number_readers(struct reads *r, const struct catalog *c, const slot *slots)
{
	size_t n = c->n_models, *end = r->first_reader;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < c->models[i].n_upstreams; j++)
			end[c->models[i].upstreams[j].place]++;
	for (size_t i = 1; i <= n; i++)
		end[i] += end[i - 1];
	/* Each end moves down until it is where its readers begin. */
	for (size_t i = n; i-- > 0;) {
		const struct model *m = &c->models[i];
		for (size_t j = m->n_upstreams; j-- > 0;)
			r->reader[--end[m->upstreams[j].place]] =
				(struct model_read){.model = slots[i], .windowed = m->upstreams[j].windowed};
	}
}

void reads_number(struct reads *r, const struct catalog *c, const slot *slots)
{
	number_reads(r, c, slots);
	number_readers(r, c, slots);
}

const struct model_read *reads_of(const struct reads *r, int place, size_t *n)
{
	*n = r->first_read[place + 1] - r->first_read[place];
	return &r->read[r->first_read[place]];
}

const struct model_read *readers_of(const struct reads *r, int place, size_t *n)
{
	*n = r->first_reader[place + 1] - r->first_reader[place];
	return &r->reader[r->first_reader[place]];
}

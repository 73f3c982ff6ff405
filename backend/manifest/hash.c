/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/manifest/hash.h"
#include "backend/manifest/steps.h"

/*
 * Each text ends with a byte that UTF-8 never has, and NULL has a byte of its own, so that NULL and "" differ
 * and no text runs into the next.
 */
uint64_t hash_mix(uint64_t hash, const char *text)
{
	for (const char *p = text; p && *p; p++)
		hash = (hash ^ (unsigned char)*p) * FNV_PRIME;
	return (hash ^ (text ? 0xffu : 0xfeu)) * FNV_PRIME;
}

void hash_model(struct model *m)
{
	uint64_t hash = FNV_BASIS;
	hash = hash_mix(hash, m->compiled);
	hash = hash_mix(hash, m->relation.rendered);
	hash = hash_mix(hash, m->event_time);
	hash = hash_mix(hash, m->batch_size_text);
	if (m->sql_header)
		hash = hash_mix(hash, m->sql_header);
	for (size_t i = 0; i < m->n_inputs; i++) {
		hash = hash_mix(hash, m->inputs[i].relation.rendered);
		hash = hash_mix(hash, m->inputs[i].event_time);
		hash = hash_mix(hash, m->inputs[i].mentions);
	}
	snprintf(m->code, sizeof(m->code), "%016" PRIx64, hash);
}

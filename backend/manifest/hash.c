/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/manifest/steps.h"

/* FNV-1a, 64 bits: it tells versions of one's own code apart and guards against nobody. */
#define FNV_BASIS 0xcbf29ce484222325u
#define FNV_PRIME 0x100000001b3u

/* A NULL and "" differ, and the length of each text counts: it ends with a byte that no UTF-8 has. */
static uint64_t mix(uint64_t hash, const char *text)
{
	for (const char *p = text; p && *p; p++)
		hash = (hash ^ (unsigned char)*p) * FNV_PRIME;
	return (hash ^ (text ? 0xffu : 0xfeu)) * FNV_PRIME;
}

void hash_model(struct model *m)
{
	uint64_t hash = FNV_BASIS;
	hash = mix(hash, m->compiled);
	hash = mix(hash, m->relation.rendered);
	hash = mix(hash, m->event_time);
	hash = mix(hash, m->batch_size_text);
	for (size_t i = 0; i < m->n_inputs; i++) {
		hash = mix(hash, m->inputs[i].relation.rendered);
		hash = mix(hash, m->inputs[i].event_time);
		hash = mix(hash, m->inputs[i].mentions);
	}
	snprintf(m->code, sizeof(m->code), "%016" PRIx64, hash);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which slot a model has, and what the slots stand for now.
 *
 * The identity of a model is its directory, its relation and its batch size: as long as these three stay what
 * they are, the model keeps its slot through every catalog that is swapped in. A model with another relation
 * or another batch size is another model with a slot of its own. A model that is in the new catalog no more
 * keeps its slot and its facts, but its directory's name resolves no more; when it comes back, it has its old
 * slot.
 *
 * A catalog is freed when no slot has its facts from it and nobody holds it any more.
 *
 * Not locked: the owner (the backend) serialises every call with its one mutex, but for catalog_drop() and
 * for what identity is made of (models_dir(), models_batch_size()), which any thread may ask at any time.
 * Facts that a function returns stay valid until the next swap; what must outlive the lock is held by
 * models_hold(). Who swaps and does not want to free a catalog under the lock holds it meanwhile.
 */
#ifndef BATCHFS_MODELS_H
#define BATCHFS_MODELS_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/base/error.h"
#include "backend/manifest.h"
#include "backend/reads.h"
#include "backend/slot.h"

struct models;

/* supports: the kinds of need that whoever builds the models supports (verdict.h). NULL: no memory. */
struct models *models_new(uint64_t supports);
/* What is held must have been dropped. NULL is fine. */
void models_free(struct models *ms);

/*
 * A swap has two halves, so that the owner can make room for the new slots, and tell the store of them,
 * before anybody can name them. models_prepare() gives the models of the catalog their slots; until the swap
 * a new one counts as gone, with the facts of this catalog. It takes the catalog over, also on failure
 * (-ENOMEM; -E2BIG: more slots than SLOTS_MAX); free_catalog is called for it once, when the last reference
 * goes, on the thread that drops it; NULL: the catalog is the caller's, who keeps it until models_free().
 * Then comes models_swap(): the prepared catalog is the current one from now on; or models_abandon(): it
 * never was, and the slots that it has given wait for their models.
 */
int models_prepare(struct models *ms, struct catalog *catalog, void (*free_catalog)(struct catalog *c),
		   struct error *err);
void models_swap(struct models *ms);
void models_abandon(struct models *ms);
/* Between the halves: the slot's facts in the prepared catalog; NULL: it has no such model. */
const struct model *models_prepared(const struct models *ms, slot model);

/* Slots are 0 .. models_end() - 1, those of gone models and of a prepared catalog included. Never falls. */
slot models_end(const struct models *ms);

/* The model whose directory has this name now; SLOT_NONE: no model has. */
slot models_find(const struct models *ms, const char *dir);

/* Of the identity, so they never change; the name lives as long as the models do. */
const char *models_dir(const struct models *ms, slot model);
enum batch_size models_batch_size(const struct models *ms, slot model);

/* The file that the current catalog was read from. */
const char *models_manifest(const struct models *ms);

/* The models of the current catalog in the order of their directories' names. i < models_count(). */
size_t models_count(const struct models *ms);
slot models_nth(const struct models *ms, size_t i);

/* Whether the current catalog has no such model. */
bool models_gone(const struct models *ms, slot model);

/* Facts of the last catalog that had the model. */
const struct model *models_at(const struct models *ms, slot model);

/* Why it cannot be built here, by the verdict on these facts; NULL: it can. */
const char *models_why_not(const struct models *ms, slot model);

/* What the model reads, as of the same catalog; *n: how many. */
const struct model_read *models_reads(const struct models *ms, slot model, size_t *n);

/* Who reads the model, in the current catalog (readers_of()); *n: how many. */
const struct model_read *models_readers(const struct models *ms, slot model, size_t *n);

/* A catalog with its slots, held. */
struct held_catalog;

/* Holds the current catalog, and the one that models_at() has the facts of this slot from. */
struct held_catalog *models_hold_current(struct models *ms);
struct held_catalog *models_hold(struct models *ms, slot model);
/* Any thread, with or without the lock. NULL is fine. */
void catalog_drop(struct held_catalog *c);

const struct catalog *held_catalog(const struct held_catalog *c);
/* The slot of the model at this place of the held catalog. */
slot held_slot(const struct held_catalog *c, int place);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What every engine notes of a model in the same words (struct store_target). */
#ifndef BATCHFS_NOTE_H
#define BATCHFS_NOTE_H

/* Of a model whose target was built with other batch sizes, too: their names. */
#define NOTE_OTHER_SIZES                                                                                      \
	"what was built in batches of another size (%s) is recorded apart: it is kept, and shown again when " \
	"batch_size is that again\n"

#endif

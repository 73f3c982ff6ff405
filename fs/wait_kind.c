/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/wait_kind.h"

static const struct wait_traits traits[WAIT_KINDS] = {
	[WAIT_OPEN] = {.opens = true},
	[WAIT_GETATTR] = {.opens = false},
	[WAIT_SIZE] = {.always = true, .brief = true},
	[WAIT_TEXT] = {.opens = false},
	[WAIT_READ] = {.for_batches = true, .always = true},
	[WAIT_WRITE] = {.holds_inode = true},
	[WAIT_SETATTR] = {.holds_inode = true},
	[WAIT_FSYNC] = {.holds_inode = true, .for_batches = true},
};

const struct wait_traits *wait_traits(enum wait_kind kind)
{
	return &traits[kind];
}

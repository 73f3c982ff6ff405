/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers through the page cache (sendfile, splice, mmap). For them the kernel decides where the text ends,
 * by the size that it was told last, and one inode has one set of pages, whoever has filled it; but every
 * open file has a text of its own.
 */
#include "backend/base/cleanup.h"
#include "fs/handle_slot.h"
#include "fs/texts.h"

/* So many of a file's handles are looked at, the newest: it may be open a hundred thousand times. */
#define LATEST 16
/* How long a reader through the page cache may pause. */
#define PAGED_US 2000000

uint64_t handle_unread(struct handles *t, uint64_t ino, pid_t pid)
{
	unsigned looked = 0;

	LOCKED(&t->lock);
	const struct open_file *f = handle_file(t, ino);
	const struct handle_slot *s = f ? TAILQ_FIRST(&f->sized) : NULL;
	for (; s && looked < LATEST; s = TAILQ_NEXT(s, sized_link), looked++)
		if (s->pid == pid)
			return s->read ? 0 : handle_number(s);
	return 0;
}

bool handle_paged_size(struct handles *t, uint64_t ino, int64_t now_us, size_t *size)
{
	unsigned looked = 0;

	LOCKED(&t->lock);
	const struct open_file *f = handle_file(t, ino);
	const struct handle_slot *s = f ? TAILQ_FIRST(&f->sized) : NULL;
	for (; s && looked < LATEST; s = TAILQ_NEXT(s, sized_link), looked++)
		if (s->paged_at && now_us - s->paged_at < PAGED_US) {
			*size = s->size;
			return true;
		}
	return false;
}

void handle_note_read(struct handles *t, uint64_t fh, size_t end, bool paged, int64_t now_us)
{
	LOCKED(&t->lock);
	struct handle_slot *s = handle_find(t, fh);
	if (s) {
		s->read = true;
		s->paged_at = paged && end < s->size ? now_us : 0;
	}
}

bool handle_size(struct handles *t, uint64_t fh, size_t *size)
{
	LOCKED(&t->lock);
	const struct handle_slot *s = handle_find(t, fh);
	if (!s || !s->sized)
		return false;
	*size = s->size;
	return true;
}

/* Only valid under the lock. */
static bool is_outdated(struct handles *t, const struct handle_slot *s)
{
	const struct handle_slot *other = s->file ? TAILQ_FIRST(&s->file->sized) : NULL;
	unsigned looked = 0;

	for (; other && looked < LATEST; other = TAILQ_NEXT(other, sized_link), looked++)
		if (other->made > s->made && other->text && s->text &&
		    !text_equal(&t->texts, other->text, s->text))
			return true;
	return false;
}

enum paging handle_paging(struct handles *t, uint64_t fh)
{
	LOCKED(&t->lock);
	const struct handle_slot *s = handle_find(t, fh);
	if (!s || !is_outdated(t, s))
		return PAGING_SHARED;
	return s->read ? PAGING_ALONE : PAGING_REFUSED;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/view/pages.h"

void pages_init(struct backend_pages *p, const struct pages_ops *ops)
{
	*p = (struct backend_pages){.ops = ops, .holders = 1};
}

struct backend_pages *backend_pages_hold(struct backend_pages *p)
{
	__atomic_add_fetch(&p->holders, 1, __ATOMIC_RELAXED);
	return p;
}

void backend_pages_close(struct backend_pages *p)
{
	if (p && __atomic_sub_fetch(&p->holders, 1, __ATOMIC_ACQ_REL) == 0)
		p->ops->free(p);
}

size_t backend_pages_size(const struct backend_pages *p)
{
	return p->size;
}

int backend_pages_read(const struct backend_pages *p, size_t off, size_t size, struct strbuf *out)
{
	size_t end = off > p->size || p->size - off < size ? p->size : off + size;
	int r = off < end ? p->ops->read(p, off, end, out) : 0;
	return r == 0 && strbuf_broken(out) ? -ENOMEM : r;
}

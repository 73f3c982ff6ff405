/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/progress.h"

#include <inttypes.h>

#define BAR 10

static void put_left(double seconds, struct strbuf *out)
{
	if (seconds < 120)
		strbuf_printf(out, ", %.0f s left", seconds);
	else if (seconds < 7200)
		strbuf_printf(out, ", %.0f min left", seconds / 60);
	else
		strbuf_printf(out, ", %.0f h left", seconds / 3600);
}

void progress_format(const struct progress_line *l, struct strbuf *out)
{
	size_t full = l->total ? l->done * BAR / l->total : 0;
	double rate = l->us > 0 ? (double)l->ended * 1e6 / (double)l->us : 0;

	if (l->clearing) {
		strbuf_putc(out, '[');
		strbuf_fill(out, '.', BAR);
		strbuf_printf(out, "] clearing, %" PRIu64 " rows deleted\n", l->rows);
		return;
	}
	strbuf_putc(out, '[');
	strbuf_fill(out, '#', full);
	strbuf_fill(out, '.', BAR - full);
	strbuf_printf(out, "] %zu/%zu done, %zu failed", l->done, l->total, l->failed);
	if (l->pending)
		strbuf_printf(out, ", %zu pending", l->pending);
	if (rate > 0) {
		strbuf_printf(out, rate < 10 ? ", %.1f/s" : ", %.0f/s", rate);
		if (l->left)
			put_left((double)l->left / rate, out);
	}
	strbuf_putc(out, '\n');
}

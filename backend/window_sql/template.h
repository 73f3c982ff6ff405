/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BATCHFS_WINDOW_SQL_TEMPLATE_H
#define BATCHFS_WINDOW_SQL_TEMPLATE_H

#include "backend/window_sql.h"

/* Where a window's condition is written into the text: before the byte at `at`. */
struct sql_hole {
	size_t at;
	char *event_time;
	char *relation; /* as dbt has rendered it, for messages */
	size_t input;	/* its place in model->inputs */
};

struct sql_template {
	char *text;
	size_t len;
	struct sql_hole *holes; /* ascending by `at` */
	size_t n_holes;
};

#endif

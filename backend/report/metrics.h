/* SPDX-License-Identifier: Apache-2.0 */
/* The document .metrics, in the text format that Prometheus reads. Plain facts in, text out, as report.h. */
#ifndef BATCHFS_REPORT_METRICS_H
#define BATCHFS_REPORT_METRICS_H

#include "backend/attempts.h"
#include "backend/report/report.h"

struct report_model_metrics {
	const char *dir;
	const char *builder; /* NULL: it cannot be built here */
	size_t states[BATCH_STATES];
	int64_t built_until;	/* us; 0: not known, or the model cannot be built here: there is no lag */
	int64_t oldest_failure; /* us; 0: nothing is failed */
	struct attempt_counts attempts;
};

struct report_metrics {
	const struct report_model_metrics *models;
	size_t n;
	size_t requests_open;
	bool warehouse_up, manifest_error;
	int64_t manifest_loaded_at; /* us */
	const char *version, *engine, *store;
	const char *builders[2]; /* who may build models here; NULL: nobody more */
	int64_t now;
};

/* 0, or -ENOMEM. */
int report_metrics(const struct report_metrics *m, struct strbuf *out);

#endif

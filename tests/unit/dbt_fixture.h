/* SPDX-License-Identifier: Apache-2.0 */
/* A model of days of a project of dbt's. */
#ifndef BATCHFS_TESTS_DBT_FIXTURE_H
#define BATCHFS_TESTS_DBT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/calendar.h"
#include "backend/manifest.h"

static const char *const fqn[] = {"shop", "sessions", NULL};
static struct catalog catalog = {.project = "shop"};

static char database[] = "shop", schema[] = "main", identifier[] = "sess'ions",
	    rendered[] = "\"shop\".\"main\".\"sessions\"";

static const struct model sessions = {
	.catalog = &catalog,
	.dir = "sessions",
	.name = "sessions",
	.package = "shop",
	.unique_id = "model.shop.sessions",
	.relation = {.database = database, .schema = schema, .identifier = identifier, .rendered = rendered},
	.event_time = "\"event_time\"",
	.batch_size = BATCH_DAY,
	.fqn = (const char **)fqn,
	.original_path = "models/sessions.sql"};

static inline ordinal day(const char *name)
{
	enum batch_size size;
	ordinal o;
	assert_true(calendar_parse_name(name, strlen(name), &size, &o));
	return o;
}

#endif

-- SPDX-License-Identifier: Apache-2.0

-- A plan that was made while the tables were small must serve when they have grown: by indexes, always. Their
-- pretended costs would have the server compile each plan (jit).
-- name: planned_settings
select pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', false),
	pg_catalog.set_config('enable_seqscan', 'off', false),
	pg_catalog.set_config('jit', 'off', false)

-- SPDX-License-Identifier: Apache-2.0

-- Settings of every transaction of our own. With row level security on, replacing 100 rows left 150 and no
-- error: off turns that into 42501. A request is durable when it is acknowledged, whatever the role's default.
-- name: settings
select {settings_columns}

-- And fails (22012) in another schema than the one that was read.
-- name: settings_in_schema
select {settings_columns},
	1 / (select count(*) from batchfs.meta where identity = $1::uuid and version = $2::int)

-- Of a claim. It need not be durable before its batch commits: WAL is ordered, so after a crash either both are
-- there, or the claim is gone and nothing was built.
-- name: settings_of_claim
select {settings_but_durability}, pg_catalog.set_config('synchronous_commit', 'off', true),
	1 / (select count(*) from batchfs.meta where identity = $1::uuid and version = $2::int)

-- name: settings_columns
{settings_but_durability},
	pg_catalog.set_config('synchronous_commit', case
		when pg_catalog.current_setting('synchronous_commit') in ('off', 'local', 'remote_write') then 'on'
		else pg_catalog.current_setting('synchronous_commit') end, true)

-- name: settings_but_durability
pg_catalog.set_config('row_security', 'off', true),
	pg_catalog.set_config('TimeZone', 'UTC', true),
	pg_catalog.set_config('DateStyle', 'ISO, MDY', true),
	pg_catalog.set_config('standard_conforming_strings', 'on', true),
	pg_catalog.set_config('client_min_messages', 'warning', true),
	pg_catalog.set_config('lock_timeout', '1s', true)

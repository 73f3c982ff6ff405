-- SPDX-License-Identifier: Apache-2.0
-- Which server a connection has come to, and which life of it (home.c). Each a statement of its own: some servers do
-- not know it or do not tell everybody.

-- Two servers have the same only if one is a copy of the other.
-- name: home_system
select system_identifier from pg_catalog.pg_control_system()

-- Rises when a standby becomes primary.
-- name: home_timeline
select pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)

-- The second: the server's own processes. A crash that the postmaster survives begins them anew, and it alone loses
-- commits that were not flushed; its start time stays.
-- name: home_start
select pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time()),
	(select pg_catalog.string_agg(a.pid::text, ' ' order by a.pid) from pg_catalog.pg_stat_activity a
		where a.usesysid is null and a.datid is null)

-- SPDX-License-Identifier: Apache-2.0
-- A mount's life sign, and what it puts back (store.c).

-- We hold our lock shared and who looks for the dead tries it exclusively: so a new session of ours never
-- waits for an old one that the server has not missed yet.
-- name: live_lock
select pg_catalog.pg_advisory_lock_shared($1::bigint)

-- Written again, because whoever took us for dead has deleted it.
-- name: live_row
insert into batchfs.owner (id) values ($1::bigint)
on conflict (id) do update set since = excluded.since

-- name: live_no_more
delete from batchfs.owner where id = $1::bigint

-- An older session of ours may still carry out what was sent on it: its end decides the fate of that.
-- name: old_sessions
select l.pid from pg_catalog.pg_locks l
join pg_catalog.pg_database d on d.oid = l.database
where l.locktype = 'advisory' and l.objsubid = 1 and d.datname = pg_catalog.current_database()
and l.classid = ($1::bigint >> 32)::oid and l.objid = ($1::bigint & 4294967295)::oid
and l.pid <> pg_catalog.pg_backend_pid()

-- name: end_session
select pg_catalog.pg_terminate_backend($1::int)

-- Our own lost claims go back; running_since names the claim.
-- name: put_back_claim
with back as (
	update batchfs.state set run = 2
	where running_since = $1::timestamptz and owner = $2::bigint and model = $3::int and run = 1
	returning model, window_start, attempt)
{put_back_told}

-- name: put_back
with back as (
	update batchfs.state set run = 2 where owner = $2::bigint and run = 1
	returning model, window_start, attempt)
{put_back_told}

-- name: put_back_told
insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at)
select model, window_start, attempt, 0, 'requeued', $1::timestamptz from back

-- SPDX-License-Identifier: Apache-2.0
-- A mount's life sign, and what it puts back (store.c).

-- The number of the session (struct store) is a lock that nobody else knows before we hold it, so that it is never
-- waited for. Held shared, as who looks sees it.
-- name: live_lock
select pg_catalog.pg_advisory_lock_shared($1::bigint)

-- Some servers that speak PostgreSQL's protocol grant every lock and hold none.
-- name: live_held
select exists (select from pg_catalog.pg_locks l where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
	and l.pid = pg_catalog.pg_backend_pid() and (l.classid::bigint << 32 | l.objid::bigint) = $1::bigint)

-- Written again, because whoever took us for dead has deleted it. The row is locked by whoever puts back what runs
-- here: until that is committed we do not come back.
-- name: live_row
insert into batchfs.owner (id, role, lock, codes, begins)
select $1::bigint, a.usesysid, $2::bigint, $3::text[], $4::timestamptz[] from pg_catalog.pg_stat_activity a where a.pid = pg_catalog.pg_backend_pid()
on conflict (id) do update set since = excluded.since, role = excluded.role, lock = excluded.lock,
	codes = excluded.codes, begins = excluded.begins

-- Who lives: whose lock is held by a session of the role that said so. Anybody who may connect can take any lock and
-- call himself anything, but not be another role. An owner without a lock is of a program that knew none.
-- name: live_owners
select o.id from batchfs.owner o
join pg_catalog.pg_locks l on l.locktype = 'advisory' and l.objsubid = 1 and l.granted
	and (l.classid::bigint << 32 | l.objid::bigint) = o.lock
join pg_catalog.pg_database d on d.oid = l.database and d.datname = pg_catalog.current_database()
join pg_catalog.pg_stat_activity a on a.pid = l.pid and a.usesysid = o.role

-- name: live_no_more
delete from batchfs.owner where id = $1::bigint

-- An older session of ours may still carry out what was sent on it: its end decides the fate of that. Its name holds
-- the owner's number; another role that calls itself so is none of ours.
-- name: old_sessions
select old.pid from pg_catalog.pg_stat_activity old
join pg_catalog.pg_stat_activity our on our.pid = pg_catalog.pg_backend_pid()
where old.pid <> our.pid and old.usesysid = our.usesysid and old.datid = our.datid
and old.application_name = our.application_name

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

-- What says that we run it, and nobody here does.
-- name: put_back_lost
with s as (
	update batchfs.state set run = 2
	where model = $3::int and window_start = $4::timestamptz and attempt = $5::int and owner = $2::bigint
	and run = 1
	returning *),
told as (
	insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at)
	select model, window_start, attempt, 0, 'requeued', $1::timestamptz from s)
select {state_columns} from s

-- name: put_back_told
insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at)
select model, window_start, attempt, 0, 'requeued', $1::timestamptz from back

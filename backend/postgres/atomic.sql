-- SPDX-License-Identifier: Apache-2.0
-- Full refreshes with meta.batchfs.refresh: atomic (atomic.h): what was built into the table beside, and the exchange.
-- $1 is the model, and $2 the refresh where nothing else is said.

-- name: atomic_row
insert into batchfs.beside (model, request)
select model, request from batchfs.refresh
where model = $1::int and request = $2::bigint and phase in ('beside', 'exchange')
on conflict do nothing

-- One mount ($3) does all of a refresh, until that is there no more. Each of its transactions locks the row of the
-- table beside first: one that a dead mount has left may still commit.
-- name: atomic_take
with live as materialized ({live_owners})
update batchfs.refresh set owner = $3::bigint
where model = $1::int and request = $2::bigint and phase in ('beside', 'exchange') and owner <> $3::bigint
and owner not in (select id from live)

-- The number behind the newest batch that is there; the request's code, and whether nobody has done anything for a
-- minute.
-- name: atomic_look
select x.phase, x.owner, b.request, coalesce(b.target, 0)::bigint, coalesce(b.made, 0)::bigint, b.mirrored,
	coalesce(r.code, ''), b.touched < pg_catalog.clock_timestamp() - interval '1 minute',
	(select max(d.window_start) from batchfs.beside_state d where d.model = $1::int
		and d.window_start >= x.first_start and d.window_start < x.end_start)
from batchfs.beside b join batchfs.refresh x on x.model = b.model and x.request = $2::bigint
left join batchfs.request r on r.id = x.request
where b.model = $1::int
for update of b nowait

-- It has been there before: of a refresh that ended without its mount.
-- name: atomic_begin_anew
update batchfs.beside set request = $2::bigint, target = null, made = null, shape = null, mirrored = false,
	touched = pg_catalog.clock_timestamp()
where model = $1::int

-- name: atomic_forget
delete from batchfs.beside_state where model = $1::int

-- name: atomic_end
delete from batchfs.beside where model = $1::int

-- Whether a refresh is under way after all. Locked, so that none begins meanwhile.
-- name: atomic_is_under_way
select phase in ('beside', 'exchange') from batchfs.refresh where model = $1::int for update nowait

-- $3: the oid of the target, $4: the shape, $5: the name of the table beside, which is in its schema.
-- name: atomic_made
update batchfs.beside b set target = $3::oid, made = c.oid, shape = $4, touched = pg_catalog.clock_timestamp()
from pg_catalog.pg_class t join pg_catalog.pg_class c on c.relnamespace = t.relnamespace and c.relname = $5
where b.model = $1::int and b.request = $2::bigint and t.oid = $3::oid

-- What was built when `begin` was earlier stays, as it does in a refresh in place ($3: the first batch). And the path
-- of the session, for the model's own words.
-- name: atomic_earliest
select min(s.window_start), pg_catalog.current_setting('search_path') from batchfs.state s
where s.model = $1::int and s.built is not null and s.window_start < $3::timestamptz and $2::bigint > 0

-- Which attempt at the batch ($2) is the newest one in the table itself whose rows are there, as its build in the table
-- beside begins. One that was claimed, or runs, is still to come, and reads its inputs later than this does.
-- name: atomic_seen
select coalesce((
	select case when run = 1 then attempt - 1 else attempt end
	from batchfs.state where model = $1::int and window_start = $2::timestamptz), 0)

-- $3 batch, $4 the attempt seen, $5 and $6 started and finished, $7 rows, $8 the code.
-- name: atomic_built
insert into batchfs.beside_state (model, window_start, seen, started, finished, rows_inserted, rows_outside, code)
select $1::int, $3::timestamptz, $4::int, $5::timestamptz, $6::timestamptz, $7::bigint,
	({batch_outside}), $8
from batchfs.beside where model = $1::int and request = $2::bigint
on conflict (model, window_start) do update set seen = excluded.seen, started = excluded.started,
	finished = excluded.finished, rows_inserted = excluded.rows_inserted, rows_outside = excluded.rows_outside,
	code = excluded.code

-- Commits with a batch. Where the refresh was cancelled meanwhile, or is another mount's ($3) by now, the division
-- fails (22012), and nothing stays. $4: how many of the refresh's batches were there for the first time.
-- name: atomic_count
with b as (
	update batchfs.beside set mirrored = false, touched = pg_catalog.clock_timestamp() where model = $1::int),
u as (
	update batchfs.refresh set origin = $3::bigint, xid = pg_catalog.pg_current_xact_id(), done = done + $4::bigint
	where model = $1::int and request = $2::bigint and phase in ('beside', 'exchange') and owner = $3::bigint
	returning done)
select max(done), 1 / count(*) from u

-- The first batch that is to be built (again): it was built in the table itself since, with other SQL ($3 is the
-- model's) than now, or lies outside of the refresh and was built: the exchange would take its rows away, also where a
-- later attempt has failed and left them, or is claimed and may never begin. Before the refresh only what was built since
-- it was asked for (`begin` has moved): the rest was copied.
-- name: atomic_again
select min(w.window_start) from (
	select d.window_start from batchfs.beside_state d where d.model = $1::int and d.code <> $3
	union all
	select s.window_start from batchfs.state s
	join batchfs.refresh x on x.model = s.model and x.request = $2::bigint
	left join batchfs.beside_state d on d.model = s.model and d.window_start = s.window_start
	where s.model = $1::int and (s.window_start >= x.first_start or s.built >= x.build_at)
	and (s.outcome = 1 and s.run <> 1 and d.seen is distinct from s.attempt
		or s.built is not null and d.window_start is null)) as w

-- name: atomic_mirrored
update batchfs.beside set mirrored = true, touched = pg_catalog.clock_timestamp()
where model = $1::int and request = $2::bigint

-- The exchange. Readers wait for nothing of this: the table is not locked yet.
-- name: atomic_patience
select pg_catalog.set_config('lock_timeout', '100ms', true)

-- Requests, claims and freezes wait for it, so that what is looked at now still is so at the end.
-- name: atomic_lock
select b.shape from batchfs.model m join batchfs.beside b on b.model = m.id and b.request = $2::bigint
where m.id = $1::int for update

-- A batch that is being built into the table itself holds its row until it has committed; what it has built is seen by
-- the next statement, and none begins before the exchange is over.
-- name: atomic_lock_states
with s as (select from batchfs.state where model = $1::int order by window_start for update)
select count(*) from s

-- $3: this mount, $4: now. Its request has built the batches, as any other one.
-- name: atomic_over
with u as (
	update batchfs.refresh set phase = '', owner = 0, result = 'done', error = '', finished_at = $4::timestamptz,
		origin = 0, xid = pg_catalog.pg_current_xact_id()
	where model = $1::int and request = $2::bigint and phase = 'exchange' and owner = $3::bigint
	returning 1),
r as (update batchfs.request set kind = 'build' where id = $2::bigint)
select 1 / count(*) from u

-- name: atomic_frozen
select greatest(f.first_start, x.first_start), f.uid, f.command, f.at
from batchfs.refresh x join batchfs.freeze f on f.model = x.model
	and f.first_start < x.end_start and f.end_start > x.first_start
where x.model = $1::int and x.request = $2::bigint
order by 1 limit 1

-- The states of the table beside become the model's. What runs is left to its own transaction, which comes after this
-- one and builds into the new table; what was answered for a range without being built is answered still. Nothing
-- has kept an input from being built meanwhile: a batch counts as built when its build began, so that it is stale then.
-- name: atomic_states
insert into batchfs.state as s (model, window_start, outcome, attempt, started, finished, built, rows_inserted,
	rows_outside, code, request, served)
select d.model, d.window_start, 1, 1, d.started, d.finished, d.started, d.rows_inserted, d.rows_outside, d.code,
	$2::bigint, coalesce((
		select max(k.served) from batchfs.answer k where k.model = $1::int
		and pg_catalog.tstzrange(k.first_start, k.end_start) @> d.window_start), 0)
from batchfs.beside_state d where d.model = $1::int
on conflict (model, window_start) do update set outcome = 1, adopted = false, interruptions = 0,
	attempt = s.attempt + case when s.run = 1 then 0 else 1 end,
	started = excluded.started, finished = excluded.finished, built = excluded.built, rows_deleted = null,
	rows_inserted = excluded.rows_inserted, rows_outside = excluded.rows_outside, code = excluded.code,
	request = case when s.run = 0 then excluded.request else s.request end,
	served = greatest(s.served, excluded.served), sqlstate = '', message = ''

-- As news from nobody, so that every mount takes them, ours too.
-- name: atomic_tell
insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, seconds, rows_inserted, rows_outside,
	request)
select d.model, d.window_start, s.attempt, 0, 'done', d.finished, extract(epoch from d.finished - d.started),
	d.rows_inserted, d.rows_outside, $2::bigint
from batchfs.beside_state d join batchfs.state s on s.model = d.model and s.window_start = d.window_start
where d.model = $1::int

-- $2: what was known until now. Whoever looks at the name next finds the table that is recorded.
-- name: atomic_target
with u as (
	update batchfs.model m set target_oid = b.made from batchfs.beside b
	where m.id = $1::int and b.model = m.id and m.target_oid = b.target and b.target = $2::oid
	returning 1)
select 1 / count(*) from u

-- SPDX-License-Identifier: Apache-2.0
-- Full refreshes (refresh.c, clear.c): a row of batchfs.refresh a model, phase '' where none is under way.

-- Of a full refresh: $1 uuid, $2 model, $3 and $4 its range, $5 uid, $6 command, $7 reason, $8 code, $9 at, $10 origin;
-- $11 to $13: models and ranges of all that stand and fall together, of which none is recorded where one is refused;
-- $14: the phase in which it begins; one that builds beside the table does so only where $15.$16 is there now, because
-- a table that was dropped a moment ago is known to this mount still, and nothing could be exchanged.
-- Its request is not open before the build phase. Their uuids begin alike. Of what is refused: 1 protected, 2 frozen,
-- 3 under way.
-- name: refresh_record
with old as (
	select r.id, r.seq from batchfs.request r where r.uuid = $1::uuid),
begins as materialized (
	select case when $14 <> 'beside' or exists (
		select from pg_catalog.pg_class c join pg_catalog.pg_namespace ns on ns.oid = c.relnamespace
		where ns.nspname = $15 and c.relname = $16) then $14 else 'clear' end as phase),
want as materialized (
	select * from unnest($11::int[], $12::timestamptz[], $13::timestamptz[]) as w (model, first_start, end_start)),
refused as materialized (
	select q.* from (
		select 1 as why, w.model, null::timestamptz as batch, f.uid, f.command, f.at
		from want w join batchfs.freeze f on f.model = w.model and f.first_start is null
		union all
		select 2, w.model, greatest(f.first_start, w.first_start), f.uid, f.command, f.at
		from want w join batchfs.freeze f on f.model = w.model
			and f.first_start < w.end_start and f.end_start > w.first_start
		union all
		select 3, w.model, null, r.uid, r.command, x.since
		from want w join batchfs.refresh x on x.model = w.model and x.phase <> ''
		left join batchfs.request r on r.id = x.request
		where left(replace(r.uuid::text, '-', ''), 16) is distinct from left(replace($1::uuid::text, '-', ''), 16)) q
	where not exists (select from old)
	order by q.why, q.model, q.batch limit 1),
bumped as (
	update batchfs.model m set seq = m.seq + 1
	where m.id = $2::int and not exists (select from old) and not exists (select from refused)
	returning m.seq),
new as (
	insert into batchfs.request
	(uuid, model, seq, kind, first_start, end_start, uid, command, reason, code, at, open, origin)
	select $1::uuid, $2::int, seq, 'full', $3::timestamptz, $4::timestamptz, $5::bigint, $6, $7, $8,
		$9::timestamptz, false, $10::bigint
	from bumped returning id, seq),
begun as (
	insert into batchfs.refresh (model, request, phase, first_start, end_start, since, build_at, origin)
	select $2::int, new.id, begins.phase, $3::timestamptz, $4::timestamptz, $9::timestamptz,
		case when begins.phase = 'beside' then $9::timestamptz end, $10::bigint from new, begins
	on conflict (model) do update set request = excluded.request, phase = excluded.phase, owner = 0,
		first_start = excluded.first_start, end_start = excluded.end_start, since = excluded.since,
		build_at = excluded.build_at, done = 0, failed = 0, rows_outside = 0, rows_without_event_time = 0, origin = excluded.origin,
		xid = pg_catalog.pg_current_xact_id())
select id, seq, null::int, null::int, null::timestamptz, null::bigint, null, null::timestamptz, (
	select x.phase from batchfs.refresh x where x.request = old.id) from old
union all select id, seq, null, null, null, null, null, null, begins.phase from new, begins
union all select null, null, why, model, batch, uid, command, at, null from refused

-- $1 model, $2 request, $3 and $4 from one phase to another, $5 at, $6 result, $7 error, $8 origin; $9 the batch that
-- could not be built beside the table (null: none), $10 and $11 when that began and ended, $12 sqlstate, $13 message.
-- That batch has a line in the history, as news from nobody, with the number that the exchange would have given to it.
-- What was built beside the table counts for nothing when that is not exchanged: then it has no build phase.
-- name: refresh_advance
with x as (
	update batchfs.refresh set phase = $4, owner = 0, origin = $8::bigint, xid = pg_catalog.pg_current_xact_id(),
		build_at = case when $4 = 'build' then $5::timestamptz when phase not in ('beside', 'exchange') or $4 <> '' then build_at end,
		failed = ($9::timestamptz is not null)::int,
		result = case when $4 = '' then $6 else result end,
		finished_at = case when $4 = '' then $5::timestamptz else finished_at end,
		error = case when $4 = '' then $7 else error end
	where model = $1::int and request = $2::bigint and phase = $3
	returning request),
bumped as (
	update batchfs.model m set seq = m.seq + 1 from x where m.id = $1::int and $4 = 'build' returning m.seq),
opened as (
	update batchfs.request r set kind = 'build', open = true, seq = b.seq, at = $5::timestamptz,
		origin = $8::bigint, xid = pg_catalog.pg_current_xact_id()
	from x, bumped b where r.id = x.request),
told as (
	insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, seconds, request, sqlstate, message)
	select $1::int, $9::timestamptz, 1 + coalesce((
			select s.attempt from batchfs.state s where s.model = $1::int and s.window_start = $9::timestamptz), 0),
		0, 'failed', $11::timestamptz, extract(epoch from $11::timestamptz - $10::timestamptz), x.request, $12, $13
	from x where $9::timestamptz is not null)
select from x

-- name: refresh_request
select {request_columns} from batchfs.request r where r.id = $1::bigint and r.kind = 'build'

-- name: refresh_columns
x.model, x.request, x.phase, x.first_start, x.end_start, x.since, x.build_at, coalesce(r.uid, 0),
coalesce(r.command, ''), r.reason, x.rows_outside, x.rows_without_event_time, x.result, x.finished_at, x.error, x.done, x.failed,
exists (select from batchfs.beside b where b.model = x.model)
from batchfs.refresh x left join batchfs.request r on r.id = x.request

-- name: refresh_of
select {refresh_columns} where x.model = any ($1::int[])

-- Those that have changed, and those of which the request has: it was given its reason later.
-- name: follow_refreshes
select {refresh_columns} where x.request in (
	select x.request from batchfs.refresh x where {news}
	union all select x.id from batchfs.request x where x.kind in ('full', 'build') and {news})

-- The clear phase is one mount's, until that is there no more. What was built before the first batch of the refresh
-- ($4) was built when `begin` was earlier: nothing is deleted from there on. What was built from $5 on was built by a
-- clock (now=) that was later: nothing is deleted up to its end.
-- name: clear_take
with live as materialized ({live_owners}),
x as (
	update batchfs.refresh set owner = $3::bigint
	where model = $1::int and request = $2::bigint and phase = 'clear'
	and (owner = $3::bigint or owner not in (select id from live))
	returning rows_outside, rows_without_event_time)
select x.rows_outside, x.rows_without_event_time, (
	select min(s.window_start) from batchfs.state s
	where s.model = $1::int and s.built is not null and s.window_start < $4::timestamptz), (
	select max(s.window_start) from batchfs.state s
	where s.model = $1::int and s.built is not null and s.window_start >= $5::timestamptz)
from x

-- Whether it is still in its clear phase, whoever has it.
-- name: clear_stands
select from batchfs.refresh where model = $1::int and request = $2::bigint and phase = 'clear'

-- Commits with the deletion. Where the refresh was cancelled meanwhile, or is another mount's by now, the division
-- fails (22012), and the rows stay.
-- name: clear_count
with u as (
	update batchfs.refresh set rows_outside = rows_outside + $4::bigint,
		rows_without_event_time = rows_without_event_time + $5::bigint,
		origin = $3::bigint, xid = pg_catalog.pg_current_xact_id()
	where model = $1::int and request = $2::bigint and phase = 'clear' and owner = $3::bigint
	returning rows_outside, rows_without_event_time)
select max(rows_outside), max(rows_without_event_time), 1 / count(*) from u

-- Target, condition, how many at most, target, condition: by the second one the planner leaves out partitions.
-- name: clear_rows
with batchfs_x as materialized (
	select tableoid as batchfs_of, ctid as batchfs_at from %s where %s limit %d)
delete from %s as batchfs_t using batchfs_x
where batchfs_t.tableoid = batchfs_x.batchfs_of and batchfs_t.ctid = batchfs_x.batchfs_at and %s

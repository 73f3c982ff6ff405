-- SPDX-License-Identifier: Apache-2.0

-- In the order of their ids, so that two mounts never wait for each other; what follows sees the commits
-- of those that were waited for. With this lock the order of seq is the order of the commits.
-- name: request_lock_models
select from batchfs.model where id = any ($1::int[]) order by id for update

-- $12 is what the batch must still be: '' anything, 'running', 'queued', or idle with an outcome.
-- queued: put back, or an open request wants it that it was not built for.
-- name: request_record
with old as (
	select r.id, r.seq from batchfs.request r where r.uuid = $1::uuid),
answered as (
	select coalesce(max(k.served), 0) as served, coalesce(max(k.served) filter (where k.skipped), 0) as skipped,
		(array_agg(k.outcome order by k.served desc) filter (where k.skipped))[1] as shown
	from batchfs.answer k
	where k.model = $2::int and pg_catalog.tstzrange(k.first_start, k.end_start) @> $3::timestamptz),
now as (
	select coalesce(s.run, 0) as run, coalesce(s.attempt, 0) as attempt,
		case when a.skipped > coalesce(s.served, 0) then a.shown else coalesce(s.outcome, 0) end as outcome,
		coalesce(s.run, 0) = 2 or exists (
			select from batchfs.request r
			where r.model = $2::int and r.open
			and r.first_start <= $3::timestamptz and r.end_start > $3::timestamptz
			and r.kind = 'build' and r.seq > greatest(s.served, a.served)) as queued
	from (select $2::int as model, $3::timestamptz as window_start) w
	left join batchfs.state s using (model, window_start) cross join answered a),
frozen as (
	select f.uid, f.command, f.at from batchfs.freeze f
	where $14::boolean and f.model = $2::int
	and f.first_start <= $3::timestamptz and f.end_start > $3::timestamptz
	and not exists (select from old)),
granted as (
	select from now
	where not exists (select from old) and not exists (select from frozen)
	and ($12 = '' or attempt = $13::int and case $12
		when 'running' then run = 1
		when 'queued' then run <> 1 and queued
		when 'failed' then run = 0 and not queued and outcome = 2
		when 'skipped' then run = 0 and not queued and outcome = 3
		when 'pending' then run = 0 and not queued and outcome = 0
		else run = 0 and not queued and outcome = 1 end)),
bumped as (
	update batchfs.model m set seq = m.seq + 1 from granted where m.id = $2::int returning m.seq),
new as (
	insert into batchfs.request
	(uuid, model, seq, kind, first_start, end_start, expected, uid, command, reason, code, at, origin)
	select $1::uuid, $2::int, b.seq, $15, $3::timestamptz, $4::timestamptz, nullif($12, ''), $5::bigint, $6,
		$7, $8, $9::timestamptz, $10::bigint
	from bumped b returning id, seq)
select id, seq, $11::bigint, null, null::timestamptz from old
union all select id, seq, $11::bigint, null, null from new
union all select null, null, uid, command, at from frozen

-- name: request_give_reason
update batchfs.request set reason = $2, xid = pg_catalog.pg_current_xact_id(), origin = $3::bigint
where uuid = $1::uuid
returning id, seq

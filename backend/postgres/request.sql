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

-- Of a cancel: $1 uuid, $2 model, $3 and $4 its range, $5 uid, $6 command, $7 at, $8 origin. What it spares are requests
-- that nobody knew of who asked for it: of others (not $9) above the seq $10 and the id $11, of our own ($9) above $12;
-- never $13. A full refresh opens a request that is older. What is left of the range are rows of their own with the same
-- seq; where nothing is, one that is empty says that it is recorded.
-- name: request_cancel
with old as (
	select r.seq from batchfs.request r where r.uuid = $1::uuid),
spared as (
	select r.first_start as lo, r.end_start as hi from batchfs.request r
	where r.model = $2::int and r.kind = 'build' and r.id <> $13::bigint
	and (r.id > $11::bigint or r.id in (select x.request from batchfs.refresh x where x.model = $2::int))
	and r.seq > case when r.origin = any ($9::bigint[]) then $12::bigint else $10::bigint end
	and r.first_start < $4::timestamptz and r.end_start > $3::timestamptz
	union all select $4::timestamptz, $4::timestamptz),
gaps as (
	select greatest($3::timestamptz, max(hi) over (
		order by lo, hi rows between unbounded preceding and 1 preceding)) as lo, lo as hi
	from spared),
bumped as (
	update batchfs.model m set seq = m.seq + 1
	where m.id = $2::int and not exists (select from old) returning m.seq),
new as (
	insert into batchfs.request
	(uuid, model, seq, kind, first_start, end_start, uid, command, code, at, open, origin)
	select case when row_number() over (order by p.lo) = 1 then $1::uuid else pg_catalog.gen_random_uuid() end,
		$2::int, b.seq, 'cancel', p.lo, p.hi, $5::bigint, $6, '', $7::timestamptz, p.lo < p.hi, $8::bigint
	from bumped b, (
		select lo, hi from gaps where lo < hi
		union all select $3::timestamptz, $3::timestamptz where not exists (select from gaps where lo < hi)) p
	returning id, seq, first_start, end_start)
select id, seq, first_start, end_start from new
union all select r.id, r.seq, r.first_start, r.end_start from old
	join batchfs.request r on r.seq = old.seq where r.model = $2::int and r.kind = 'cancel'
order by 3

-- SPDX-License-Identifier: Apache-2.0
-- Batches that are answered without being built (answer.c).

-- What is only asked for has no row yet. Sorted: two mounts that make the same rows never wait crosswise.
-- name: answer_make_rows
insert into batchfs.state (model, window_start)
select distinct w.model, w.window_start
from unnest($1::int[], $2::timestamptz[], $3::int[]) as w (model, window_start, attempt)
where w.attempt = 0 order by 1, 2
on conflict do nothing

-- What waits (attempt 0) is not waited for: a row that is locked is being built or claimed by another. What
-- is answered already stays as it is. outcome: 0 of what is cancelled. An attempt is fenced and waited for, as in settle.sql. Nothing is answered
-- beyond the model's seq: numbers of another life of the server, in which there were more requests, are given again.
-- name: answer
with want as materialized (
	select * from unnest($1::int[], $2::int[], $3::timestamptz[], $4::int[], $5::int[],
		$6::timestamptz[], $7::timestamptz[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[])
	as w (n, model, window_start, attempt, outcome, started, finished, message, wanted, request, before)),
ended as materialized (
	select w.n from batchfs.state s
	join want w on s.model = w.model and s.window_start = w.window_start and s.attempt = w.attempt
	where s.run = 1 and w.attempt > 0
	order by s.model, s.window_start for update of s),
waiting as materialized (
	select w.n from batchfs.state s
	join want w on s.model = w.model and s.window_start = w.window_start
	where w.attempt = 0 and (s.run = 2 and (w.before = 0 or s.served < w.before)
		or s.run = 0 and s.served < w.wanted)
	order by s.model, s.window_start for update of s skip locked),
done as (
	update batchfs.state s set run = 0, interruptions = 0,
		served = least(greatest(s.served, w.wanted, w.before), m.seq),
		outcome = case when w.outcome > 0 then w.outcome else s.outcome end,
		started = case when w.outcome > 0 then w.finished else s.started end,
		finished = case when w.outcome > 0 then w.finished else s.finished end,
		rows_deleted = case when w.outcome > 0 then null else s.rows_deleted end,
		rows_inserted = case when w.outcome > 0 then null else s.rows_inserted end,
		rows_outside = case when w.outcome > 0 then null else s.rows_outside end,
		adopted = s.adopted and w.outcome = 0,
		request = case when w.outcome > 0 and w.request <> 0 then w.request else s.request end,
		sqlstate = case when w.outcome > 0 then '' else s.sqlstate end,
		message = case when w.outcome > 0 then w.message else s.message end
	from (select n from ended union all select n from waiting) h join want w using (n)
	join batchfs.model m on m.id = w.model
	where s.model = w.model and s.window_start = w.window_start
	returning w.n, s.model, s.window_start, s.attempt, w.outcome as shown, w.finished, w.message,
		case when w.attempt > 0 then extract(epoch from w.finished - w.started) end as seconds,
		case when w.request <> 0 then w.request else s.request end as request),
told as (
	insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, seconds, request, message,
		cancelled_uid, cancelled_command)
	select d.model, d.window_start, d.attempt, $12::bigint, (array['cancelled', '', 'failed', 'skipped'])[shown + 1],
		finished, seconds, request, case when shown > 0 then message end,
		case when shown = 0 then who.uid end, case when shown = 0 then who.command end
	from done d {cancelled_by})
select n, attempt from done

-- Of the batch d, who cancelled it last: by a cancel, which stays open until what it answers is told, or by a freeze.
-- name: cancelled_by
left join lateral (
	select x.uid, x.command from (
		select r.at, r.uid, r.command from batchfs.request r
		where r.open and r.kind = 'cancel' and r.model = d.model
		and r.first_start <= d.window_start and r.end_start > d.window_start
		union all
		select f.at, f.uid, f.command from batchfs.freeze f
		where f.model = d.model and f.first_start <= d.window_start and f.end_start > d.window_start) x
	order by x.at desc limit 1) who on true

-- Neighbours that were only queued: $1 model, from $2 to $3, alike in the rest. One row, up to the first batch that
-- another has claimed, put back or answered meanwhile. Of those served up to $4 or more it is one that still waits
-- for a request that is answered by this ($5). $12: how long a batch is. What others (not $14) have asked for above
-- $13 is not answered by it, although it is older than $5. Out, beside where the row ends, a row each:
-- the first of those batches, and the ranges that were answered; a claim is of 32 at most.
-- name: answer_range
with taken as materialized (
	(select s.window_start as first, null::timestamptz as end_start from batchfs.state s
	where s.model = $1::int and s.window_start >= $2::timestamptz and s.window_start < $3::timestamptz
	and (s.run <> 0 or s.served >= $4::bigint and not exists (
		select from batchfs.request r
		where r.open and r.kind = 'build' and r.model = s.model
		and pg_catalog.tstzrange(r.first_start, r.end_start) @> s.window_start
		and r.seq > s.served and r.seq <= $5::bigint))
	order by 1 limit 256)
	union all
	select greatest(k.first_start, $2::timestamptz), k.end_start from batchfs.answer k
	where k.model = $1::int and k.served >= $4::bigint
	and pg_catalog.tstzrange(k.first_start, k.end_start)
		&& pg_catalog.tstzrange($2::timestamptz, $3::timestamptz)
	union all
	select greatest(r.first_start, $2::timestamptz), r.end_start from batchfs.request r
	where r.open and r.kind = 'build' and r.model = $1::int and r.seq > $13::bigint and r.seq <= $5::bigint
	and r.origin <> all ($14::bigint[])
	and pg_catalog.tstzrange(r.first_start, r.end_start)
		&& pg_catalog.tstzrange($2::timestamptz, $3::timestamptz)),
piece as (
	select coalesce((select min(first) from taken), $3::timestamptz) as end_start),
new as (
	insert into batchfs.answer (model, skipped, outcome, first_start, end_start, served, at, request, message, origin)
	select $1::int, $6::int > 0, $6::int, $2::timestamptz, end_start, least($5::bigint, m.seq), $7::timestamptz, $8::bigint,
		$9, $10::bigint
	from piece, batchfs.model m where end_start > $2::timestamptz and m.id = $1::int
	returning id, end_start),
told as (
	insert into batchfs.attempt (model, window_start, last_start, attempt, origin, outcome, at, request, message,
		cancelled_uid, cancelled_command)
	select d.model, d.window_start, ((end_start at time zone 'UTC') - $12::interval) at time zone 'UTC',
		$11::int, $10::bigint, (array['cancelled', '', 'failed', 'skipped'])[$6::int + 1], $7::timestamptz,
		nullif($8::bigint, 0), case when $6::int > 0 then $9 end,
		case when $6::int = 0 then who.uid end, case when $6::int = 0 then who.command end
	from (select $1::int as model, $2::timestamptz as window_start, end_start from new) d {cancelled_by})
select coalesce((select id from new), 0), piece.end_start, taken.first, taken.end_start
from piece left join taken on true order by taken.first

-- What was skipped in a range and is claimed or answered again shows that by its own row from then on.
-- name: answer_unfold
insert into batchfs.state as s (model, window_start, outcome, started, finished, request, served, message)
select distinct on (k.model, w.start) k.model, w.start, k.outcome, k.at, k.at, k.request, k.served, k.message
from unnest($1::int[], $2::timestamptz[], $3::int[]) as w (model, start, attempt)
join batchfs.answer k on k.model = w.model and k.skipped
	and pg_catalog.tstzrange(k.first_start, k.end_start) @> w.start
where w.attempt = 0
order by k.model, w.start, k.served desc
on conflict (model, window_start) do update set outcome = excluded.outcome, started = excluded.started,
	finished = excluded.finished, rows_deleted = null, rows_inserted = null, rows_outside = null, adopted = false,
	request = case when excluded.request <> 0 then excluded.request else s.request end,
	served = excluded.served, sqlstate = '', message = excluded.message
where s.run = 0 and s.served < excluded.served

-- name: answers_forget
delete from batchfs.answer where id = any (array(
	select k.id from batchfs.answer k where k.id = any ($1::bigint[]) order by k.id for update skip locked))

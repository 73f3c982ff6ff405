-- SPDX-License-Identifier: Apache-2.0
-- Which hooks have run (hooks.h). $1 is the model, $2 the start of the batch that is being built.
-- Of a touch that asks for a model with gaps there is a request for each range; their uuids begin alike (store.h).

-- name: hooks_touch
pg_catalog.left(r.uuid::text, 18)

-- The first to come writes the row; another one waits for its end, and comes next if that was no commit.
-- name: hooks_first
insert into batchfs.hook (model, asked, stage)
select $1::int, {hooks_touch}, $3::text
from batchfs.state s
join batchfs.request r on r.id = s.request
where s.model = $1::int and s.window_start = $2::timestamptz
on conflict do nothing
returning 1

-- Every touch that the batch is for, or that its build answers: one that is older than the batch's last outcome was
-- answered by that (`finished` is still of it: the end of the batch's transaction comes after its hooks).
-- name: hooks_covering
select distinct {hooks_touch} as asked
from batchfs.request r
join batchfs.state s on s.model = r.model and s.window_start = $2::timestamptz
where r.model = $1::int and r.kind = 'build'
and (
	r.open and pg_catalog.tstzrange(r.first_start, r.end_start) @> $2::timestamptz
	and (s.finished is null or r.at > s.finished)
	and not exists (select {hooks_cancelled} @> $2::timestamptz)
	or r.id = s.request)

-- A cancel that came later than r.
-- name: hooks_cancelled
from batchfs.request c
where c.model = $1::int and c.kind = 'cancel' and c.seq > r.seq
and pg_catalog.tstzrange(c.first_start, c.end_start)

-- The ends of the batches of one touch come one after the other from here on: each sees those before it as committed.
-- name: hooks_hold
insert into batchfs.hook (model, asked, stage)
select $1::int, c.asked, 'end' from ({hooks_covering}) c order by c.asked
on conflict (model, asked, stage) do update set stage = excluded.stage

-- Those of which nothing is left to build: $3 is the batches' length. What is running, or was put back, is left.
-- name: hooks_over
select c.asked
from ({hooks_covering}) c
where not exists (
	select
	from batchfs.request r
	cross join lateral (
		select t at time zone 'UTC'
		from pg_catalog.generate_series(
			r.first_start at time zone 'UTC', (r.end_start at time zone 'UTC') - $3::interval, $3::interval) t
	) as w (at)
	where r.model = $1::int and {hooks_touch} = c.asked and r.kind = 'build' and r.open and w.at <> $2::timestamptz
	and not exists (
		select from batchfs.state s
		where s.model = $1::int and s.window_start = w.at and s.run = 0 and s.served >= r.seq)
	and not exists (
		select from batchfs.answer k
		where k.model = $1::int and pg_catalog.tstzrange(k.first_start, k.end_start) @> w.at and k.served >= r.seq)
	and not exists (select {hooks_cancelled} @> w.at)
	and not exists (
		select from batchfs.freeze f
		where f.model = $1::int and f.first_start <= w.at and f.end_start > w.at))

-- What is due now: hooks of the stage $4 run if this writes a row.
-- name: hooks_last
insert into batchfs.hook (model, asked, stage)
select $1::int, o.asked, $4::text from ({hooks_over}) o order by o.asked
on conflict do nothing
returning 1

-- They have failed, and have not run.
-- name: hooks_forget
delete from batchfs.hook h
where h.model = $1::int and h.stage = $3::text and h.asked in ({hooks_covering})

-- The rows are committed, and the batch goes on until its last hooks have run.
-- name: hooks_still_runs
update batchfs.state set run = 1 where model = $1::int and window_start = $2::timestamptz

-- name: hooks_outside
select pg_catalog.set_config('batchfs.rows_outside', $1::text, true)

-- name: prune_hooks
delete from batchfs.hook h
where h.model = $1::int and not exists (
	select from batchfs.request r where {hooks_touch} = h.asked and r.model = $1::int)

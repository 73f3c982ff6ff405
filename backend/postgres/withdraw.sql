-- SPDX-License-Identifier: Apache-2.0

-- What was cancelled as a range needs no row of its own any more when the requests it answers are closed.
-- A cancel is skipped where another mount is at it. It is needed as long as something older than it runs or
-- may be claimed.
-- name: withdraw
with c as materialized (
	select id, model, seq, first_start, end_start from batchfs.request
	where open and kind = 'cancel' order by id for update skip locked),
hit as materialized (
	select s.model, s.window_start, c.seq from c join batchfs.state s on {withdraw_covered}
	where s.run = 2 or s.run = 0 and exists (
		select from batchfs.request r
		where r.open and r.kind = 'build'
		and pg_catalog.tstzrange(r.first_start, r.end_start) @> s.window_start
		and r.model = s.model and r.seq > s.served and r.seq < c.seq
		and not exists (
			select from batchfs.answer k
			where k.model = s.model and k.served >= r.seq
			and pg_catalog.tstzrange(k.first_start, k.end_start) @> s.window_start))
	order by 1, 2 for update of s skip locked),
s as (
	update batchfs.state t set run = 0, interruptions = 0, served = h.seq
	from (select model, window_start, max(seq) as seq from hit group by 1, 2) h
	where t.model = h.model and t.window_start = h.window_start
	returning t.*),
told as (
	insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, request, cancelled_uid,
		cancelled_command)
	select d.model, d.window_start, d.attempt, $1::bigint, 'cancelled', $2::timestamptz, d.request, who.uid,
		who.command
	from s d {cancelled_by}),
closed as (
	update batchfs.request t set open = false from c
	where t.id = c.id
	and not exists (select from batchfs.state s where {withdraw_covered} and s.run <> 0)
	and not exists (
		select from batchfs.request r
		where r.open and r.kind = 'build'
		and pg_catalog.tstzrange(r.first_start, r.end_start)
			&& pg_catalog.tstzrange(c.first_start, c.end_start)
		and r.model = c.model and r.seq < c.seq)),
over as (
	delete from batchfs.answer where id = any (array(
		select k.id from batchfs.answer k
		where not k.skipped and not exists (
			select from batchfs.request r
			where r.open and r.kind = 'build' and r.model = k.model and r.seq <= k.served
			and pg_catalog.tstzrange(r.first_start, r.end_start)
				&& pg_catalog.tstzrange(k.first_start, k.end_start))
		order by k.id for update skip locked)))
select {state_columns}, true from s

-- name: withdraw_covered
s.model = c.model and s.window_start >= c.first_start and s.window_start < c.end_start and s.served < c.seq

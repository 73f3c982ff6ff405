-- SPDX-License-Identifier: Apache-2.0

-- Fenced by the attempt. Rows are locked in the order of the key; one that is still held by a transaction
-- that is dying ends the whole with 55P03, so that the rest is not told twice.
-- name: settle
with want as materialized (
	select * from unnest($1::int[], $2::int[], $3::timestamptz[], $4::int[], $5::text[], $6::timestamptz[],
		$7::timestamptz[], $8::text[], $9::text[], $10::text[])
	as w (n, model, window_start, attempt, kind, started, finished, sqlstate, message, code)),
held as materialized (
	select s.model, s.window_start, s.request from batchfs.state s
	join want w on s.model = w.model and s.window_start = w.window_start and s.attempt = w.attempt
	where s.run = 1 order by 1, 2 for update of s),
done as (
	update batchfs.state s set
		run = case when w.kind = 'failed' then 0 else 2 end,
		outcome = case when w.kind = 'failed' then 2 else s.outcome end,
		started = case when w.kind = 'failed' then w.started else s.started end,
		finished = case when w.kind = 'failed' then w.finished else s.finished end,
		rows_deleted = case when w.kind = 'failed' then null else s.rows_deleted end,
		rows_inserted = case when w.kind = 'failed' then null else s.rows_inserted end,
		rows_outside = case when w.kind = 'failed' then null else s.rows_outside end,
		adopted = s.adopted and w.kind <> 'failed',
		code = case when w.kind = 'failed' then w.code else s.code end,
		interruptions = case when w.kind = 'failed' then 0 else s.interruptions end,
		sqlstate = case when w.kind = 'failed' then w.sqlstate else s.sqlstate end,
		message = case when w.kind = 'failed' then w.message else s.message end
	from held h join want w using (model, window_start)
	where s.model = h.model and s.window_start = h.window_start
	returning w.n, w.model, w.window_start, w.attempt, w.kind, w.started, w.finished, w.sqlstate, w.message,
		s.request),
told as (
	insert into batchfs.attempt
	(model, window_start, attempt, origin, outcome, at, seconds, request, sqlstate, message)
	select model, window_start, attempt, $11::bigint,
		case kind when 'requeued' then 'failed' when 'unstarted' then 'requeued' else kind end, finished,
		case when kind <> 'unstarted' then extract(epoch from finished - started) end,
		request, sqlstate, message
	from done)
select n from done

-- What another mount is just retiring is left to it.
-- name: retire
update batchfs.request set open = false
where id in (
	select r.id from batchfs.request r
	where r.id = any ($1::bigint[]) and r.open order by r.id for update skip locked)

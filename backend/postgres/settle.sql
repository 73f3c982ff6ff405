-- SPDX-License-Identifier: Apache-2.0

-- Fenced by the attempt. Rows are locked in the order of the key; one that is still held by a transaction
-- that is dying ends the whole with 55P03, so that the rest is not told twice.
-- name: settle
with want as materialized (
	select n, model, window_start, attempt, kind, started, finished, sqlstate, message, code,
		nullif(deleted, -1) as deleted, nullif(inserted, -1) as inserted, nullif(outside, -1) as outside,
		kind in ('done', 'failed', 'retracted') as ended, kind in ('failed', 'retracted') as wrong
	from unnest($1::int[], $2::int[], $3::timestamptz[], $4::int[], $5::text[], $6::timestamptz[],
		$7::timestamptz[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[], $13::bigint[])
	as w (n, model, window_start, attempt, kind, started, finished, sqlstate, message, code, deleted,
		inserted, outside)),
held as materialized (
	select s.model, s.window_start, s.request from batchfs.state s
	join want w on s.model = w.model and s.window_start = w.window_start and s.attempt = w.attempt
	where case when w.kind = 'retracted' then s.run = 0 and s.outcome = 1 else s.run = 1 end order by 1, 2 for update of s),
settled as (
	update batchfs.state s set
		run = case when w.ended then 0 else 2 end,
		outcome = case when w.kind = 'done' then 1 when w.wrong then 2 else s.outcome end,
		started = case when w.ended then w.started else s.started end,
		finished = case when w.ended then w.finished else s.finished end,
		built = case w.kind when 'done' then w.finished when 'retracted' then null else s.built end,
		rows_deleted = case when w.kind = 'done' then w.deleted when w.wrong then null else s.rows_deleted end,
		rows_inserted = case when w.kind = 'done' then w.inserted when w.wrong then null else s.rows_inserted end,
		rows_outside = case when w.kind = 'done' then w.outside when w.wrong then null else s.rows_outside end,
		adopted = s.adopted and not w.ended,
		code = case when w.kind = 'retracted' then '' when w.ended then w.code else s.code end,
		interruptions = case when w.ended then 0 else s.interruptions end,
		sqlstate = case when w.kind = 'done' then '' when w.wrong then w.sqlstate else s.sqlstate end,
		message = case when w.kind = 'done' then '' when w.wrong then w.message else s.message end
	from held h join want w using (model, window_start)
	where s.model = h.model and s.window_start = h.window_start
	returning w.*, s.request),
told as (
	insert into batchfs.attempt
	(model, window_start, attempt, origin, outcome, at, seconds, rows_deleted, rows_inserted, rows_outside,
		request, sqlstate, message)
	select model, window_start, attempt, $14::bigint,
		case kind when 'requeued' then 'failed' when 'retracted' then 'failed' when 'unstarted' then 'requeued'
			else kind end, finished,
		case when kind <> 'unstarted' then extract(epoch from finished - started) end,
		case when kind = 'done' then deleted end, case when kind = 'done' then inserted end,
		case when kind = 'done' then outside end, request,
		case when kind <> 'done' then sqlstate end, case when kind <> 'done' then message end
	from settled)
select n from settled

-- What another mount is just retiring is left to it.
-- name: retire
update batchfs.request set open = false
where id in (
	select r.id from batchfs.request r
	where r.id = any ($1::bigint[]) and r.open order by r.id for update skip locked)

-- The guest has built into a table that was never met: it is the one that the states are of. $1 models.
-- name: settle_met
update batchfs.model m set target_oid = case when m.warehouse <> '' then 1::oid else (
	select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
	where n.nspname = m.target_schema and c.relname = m.target_table) end
where m.id = any ($1::int[]) and m.target_oid is null

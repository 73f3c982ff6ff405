-- SPDX-License-Identifier: Apache-2.0

-- name: sweep_dead
with live as materialized ({live_owners})
select o.id from batchfs.owner o
where o.id <> $1::bigint and o.id not in (select id from live)

-- Until the commit the owner cannot come back (live_row); a second mount that sweeps gets nothing.
-- name: sweep_lock
select from batchfs.owner where id = any ($1::bigint[]) order by id for update skip locked

-- What is locked belongs to a transaction that still runs without its owner: it may yet commit.
-- name: sweep
with live as materialized ({live_owners}),
dead as materialized (
	select o.id from batchfs.owner o
	where o.id = any ($1::bigint[]) and o.id not in (select id from live)
	for update skip locked),
hit as materialized (
	select s.model, s.window_start from batchfs.state s
	where s.run = 1 and s.owner in (select id from dead) order by 1, 2 for update skip locked),
s as (
	update batchfs.state t set
		run = case when t.interruptions < 3 then 2 else 0 end,
		outcome = case when t.interruptions < 3 then t.outcome else 2 end,
		started = case when t.interruptions < 3 then t.started else t.running_since end,
		finished = case when t.interruptions < 3 then t.finished else $2::timestamptz end,
		sqlstate = case when t.interruptions < 3 then t.sqlstate else '' end,
		message = case when t.interruptions < 3 then t.message else $4 end,
		interruptions = case when t.interruptions < 3 then t.interruptions + 1 else 0 end
	from hit
	where t.model = hit.model and t.window_start = hit.window_start
	returning t.*),
told as (
	insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, seconds, request, message)
	select s.model, s.window_start, s.attempt, $3::bigint, 'interrupted', $2::timestamptz,
		greatest(extract(epoch from $2::timestamptz - s.running_since), 0), s.request,
		case when s.run = 0 then $4 end
	from s)
select {state_columns} from s

-- name: sweep_bury
with live as materialized ({live_owners})
delete from batchfs.owner o
where o.id = any ($1::bigint[]) and o.id not in (select id from live)
and not exists (select from batchfs.state s where s.run = 1 and s.owner = o.id)

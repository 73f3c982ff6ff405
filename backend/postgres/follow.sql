-- SPDX-License-Identifier: Apache-2.0
-- What was committed since the snapshot $1, by others than this mount's workers ($2) and this session ($3).
-- Ours is known here; what an older session of ours left may not be.

-- name: snapshot
select pg_catalog.pg_current_snapshot()::text

-- Of batchfs.attempt, batchfs.request or batchfs.answer x.
-- name: news
{news_since} and {news_of_others}

-- name: news_since
x.xid >= pg_catalog.pg_snapshot_xmin($1::pg_snapshot)
and not pg_catalog.pg_visible_in_snapshot(x.xid, $1::pg_snapshot)

-- name: news_of_others
x.origin <> $2::bigint and x.origin <> $3::bigint

-- The states that the news are about; of a range that was answered those that are newer.
-- name: news_touched
from (
	select x.model, x.window_start, coalesce(x.last_start, x.window_start) as last,
		bool_or(x.outcome = 'cancelled') as cancelled, 0 as served
	from batchfs.attempt x
	where x.window_start is not null and (x.last_start is null or x.outcome in ('started', 'adopted', 'gone')) and {news}
	group by 1, 2, 3
	union all
	select x.model, x.first_start, x.end_start - interval '1 microsecond', false, x.served
	from batchfs.answer x where {news}) a
join batchfs.state s on s.model = a.model and s.window_start >= a.window_start and s.window_start <= a.last
	and s.served >= a.served

-- name: follow_states
select {state_columns}, a.cancelled {news_touched}

-- name: follow_adopted
select distinct x.model from batchfs.attempt x where x.window_start is null and {news}

-- All that is frozen of the models of which somebody has frozen, thawed, protected something.
-- name: follow_freezes
select {freeze_columns}
from (
	select distinct x.model as id from batchfs.request x
	where x.kind in ('freeze', 'thaw', 'protect', 'unprotect') and {news}) m
left join batchfs.freeze f on f.model = m.id
order by m.id, f.first_start

-- name: follow_requests
select {request_columns} from batchfs.request r
where r.id in (
	select x.id from batchfs.request x
	where x.kind in ('build', 'cancel') and {news}
	union all select s.request {news_touched}
	union all select x.request from batchfs.answer x where {news})
order by r.id

-- name: follow_answers
select {answer_columns} from batchfs.answer x where {news} order by x.id

-- A claim answers every request committed before it, those too that had not come to its mount yet. Of what
-- still runs or was put back the end tells.
-- name: follow_answered
select s.model, s.window_start, s.served, s.attempt
from batchfs.request x
join batchfs.state s on s.model = x.model and s.window_start >= x.first_start and s.window_start < x.end_start
where x.open and x.kind = 'build' and s.served >= x.seq and {news}

-- The same by answers of ranges that the request was not known for.
-- name: follow_answered_ranges
select k.model, greatest(k.first_start, x.first_start), least(k.end_start, x.end_start), k.served
from batchfs.request x
join batchfs.answer k on k.model = x.model and k.served >= x.seq
	and pg_catalog.tstzrange(k.first_start, k.end_start) && pg_catalog.tstzrange(x.first_start, x.end_start)
where x.open and x.kind = 'build' and {news}

-- name: adopted_states
select {state_columns} from batchfs.state s where s.model = any ($1::int[])

-- name: adopted_requests
select {request_columns} from batchfs.request r
where r.id in (select s.request from batchfs.state s where s.model = any ($1::int[]))
order by r.id

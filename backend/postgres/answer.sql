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
-- is answered already stays as it is. An attempt is fenced and waited for, as in settle.sql.
-- name: answer
with want as materialized (
	select * from unnest($1::int[], $2::int[], $3::timestamptz[], $4::int[], $5::boolean[],
		$6::timestamptz[], $7::timestamptz[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[])
	as w (n, model, window_start, attempt, skipped, started, finished, message, wanted, request, before)),
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
		served = greatest(s.served, w.wanted, w.before),
		outcome = case when w.skipped then 3 else s.outcome end,
		started = case when w.skipped then w.finished else s.started end,
		finished = case when w.skipped then w.finished else s.finished end,
		rows_deleted = case when w.skipped then null else s.rows_deleted end,
		rows_inserted = case when w.skipped then null else s.rows_inserted end,
		rows_outside = case when w.skipped then null else s.rows_outside end,
		adopted = s.adopted and not w.skipped,
		request = case when w.skipped and w.request <> 0 then w.request else s.request end,
		sqlstate = case when w.skipped then '' else s.sqlstate end,
		message = case when w.skipped then w.message else s.message end
	from (select n from ended union all select n from waiting) h join want w using (n)
	where s.model = w.model and s.window_start = w.window_start
	returning w.n, s.model, s.window_start, s.attempt, w.skipped, w.finished, w.message,
		case when w.attempt > 0 then extract(epoch from w.finished - w.started) end as seconds,
		case when w.request <> 0 then w.request else s.request end as request),
told as (
	insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, seconds, request, message)
	select model, window_start, attempt, $12::bigint, case when skipped then 'skipped' else 'cancelled' end,
		finished, seconds, request, case when skipped then message end
	from done)
select n, attempt from done

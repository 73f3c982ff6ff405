-- SPDX-License-Identifier: Apache-2.0
-- What a batch's transaction sends besides the model's own statements (batch.h).

-- Nothing was hit: another attempt has taken over, or this is another warehouse, where another mount's attempt may
-- have that number. The division fails (22012) and ends the transaction.
-- name: batch_fence
with u as (
	update batchfs.state set run = 0, outcome = 1, started = $4::timestamptz, code = $5, adopted = false,
	interruptions = 0, sqlstate = '', message = ''
	where model = $1::int and window_start = $2::timestamptz and attempt = $3::int and run = 1
	and owner = $6::bigint
	returning 1)
select 1 / count(*) from u

-- The setting is the transaction's: it starts empty (render.c).
-- name: batch_outside
select coalesce(nullif(pg_catalog.current_setting('batchfs.rows_outside', true), ''), '0')::bigint

-- The row that the fence has locked is gone where a trigger of the target, say, has deleted it: then the division
-- fails, so that no rows stay without their state.
-- name: batch_finish
with u as (
	update batchfs.state set finished = $4::timestamptz, built = $4::timestamptz, rows_deleted = $5::bigint,
	rows_inserted = $6::bigint, rows_outside = ({batch_outside})
	where model = $1::int and window_start = $2::timestamptz and attempt = $7::int and owner = $3::bigint
	returning attempt, started, rows_outside, request),
told as (
	insert into batchfs.attempt (model, window_start, attempt, origin, outcome, at, seconds, rows_deleted,
		rows_inserted, rows_outside, request)
	select $1::int, $2::timestamptz, attempt, $3::bigint, 'done', $4::timestamptz,
		extract(epoch from $4::timestamptz - started), $5::bigint, $6::bigint, rows_outside, request from u)
select max(rows_outside), 1 / count(*) from u

-- SPDX-License-Identifier: Apache-2.0
-- A target that somebody else has built (adopt.c).

-- name: adopt_lock
select coalesce(target_oid, 0) = $2::bigint from batchfs.model where id = $1::int for update

-- name: adopt_known
select coalesce(target_oid, 0) = $2::bigint from batchfs.model where id = $1::int

-- Batches of the former table whose windows hold no rows in this one ($2 are those that do).
-- name: adopt_lost
select s.window_start, s.attempt from batchfs.state s
where s.model = $1::int and s.run = 0 and s.outcome = 1 and (s.adopted or s.rows_inserted > 0)
and not exists (select from unnest($2::timestamptz[]) as w where w = s.window_start)
order by 1

-- What is put back to the queue (or runs elsewhere, and will find the table changed) has been asked for and is
-- still to be built; that a request is answered for a batch is kept as long as the request is open, or a new
-- mount would build the batch again. Nothing else of the other table's states stays.
-- name: adopt_forget
delete from batchfs.state s
where s.model = $1::int and s.run = 0 and not exists (
	select from batchfs.request r
	where r.model = s.model and r.open
	and r.first_start <= s.window_start and r.end_start > s.window_start and r.seq <= s.served)

-- name: adopt_blank
update batchfs.state set outcome = 0, adopted = false, started = null, finished = null, built = null,
	rows_deleted = null, rows_inserted = null, rows_outside = null, code = '', sqlstate = '', message = ''
where model = $1::int

-- What was skipped as a range was so in the other table; that requests are answered by that stays.
-- name: adopt_unskip
update batchfs.answer set skipped = false where model = $1::int and skipped

-- name: adopt_states
insert into batchfs.state (model, window_start, outcome, adopted, started, finished, built)
select $1::int, w, 1, true, $3::timestamptz, $3::timestamptz, $3::timestamptz
from unnest($2::timestamptz[]) as w
on conflict (model, window_start) do update set outcome = 1, adopted = true, started = excluded.started,
	finished = excluded.finished, built = excluded.built

-- name: adopt_record
update batchfs.model set target_oid = nullif($2::bigint, 0)::oid, adopted_at = $3::timestamptz where id = $1::int

-- name: adopt_tell
insert into batchfs.attempt (model, origin, outcome, at) values ($1::int, $2::bigint, 'adopted', $3::timestamptz)

-- name: adopt_recorded
select {state_columns} from batchfs.state s where s.model = $1::int

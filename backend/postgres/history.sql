-- SPDX-License-Identifier: Apache-2.0
-- Of one model by its own index, newest first; of all by that of the transaction ids (history.c).

-- name: history_of_one
{history_begin} x.model = $1::int and {history_rows} {history_end}

-- name: history_of_one_since
{history_begin} x.model = $1::int and {history_rows} and {history_new} {history_end}

-- name: history_of_all
{history_begin} x.model = any ($1::int[]) and {history_rows} {history_end}

-- name: history_of_all_since
{history_begin} x.model = any ($1::int[]) and {history_rows} and {history_new} {history_end}

-- name: history_begin
select a.model, a.window_start, a.attempt, a.outcome, a.at, a.seconds, a.rows_deleted, a.rows_inserted,
	r.uid, r.command, r.reason, a.sqlstate, a.message, a.last_start,
	a.cancelled_uid, a.cancelled_command
from (
	select x.* from batchfs.attempt x where

-- name: history_end
	order by x.xid desc limit $2::bigint) a
left join batchfs.request r on r.id = a.request
order by a.at, a.xid, a.window_start

-- Which rows of `batchfs.attempt x` are lines of .history; the others only feed follow().
-- name: history_rows
x.window_start is not null
and x.outcome in ('done', 'failed', 'cancelled', 'interrupted', 'skipped', 'adopted', 'gone')

-- name: history_new
x.xid >= pg_catalog.pg_snapshot_xmin($3::pg_snapshot)
and not pg_catalog.pg_visible_in_snapshot(x.xid, $3::pg_snapshot)

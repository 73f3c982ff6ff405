-- SPDX-License-Identifier: Apache-2.0
-- Full refreshes (refresh.c): a row a model, phase '' where none is under way.

-- name: full_add
INSERT INTO request (model, seq, range_start, range_end, uid, command, code, at, uuid, reason, kind, open)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?10, iif(?11, 'build', 'full'), ?11)

-- name: full_begin
-- ?1 model, ?2 request, ?3 and ?4 its range, ?5 at, ?6 its phase. How the last one ended stays.
INSERT INTO refresh (model, request, range_start, range_end, since, phase, build_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, iif(?6 = 'first', ?5, 0))
ON CONFLICT DO UPDATE SET request = ?2, range_start = ?3, range_end = ?4, since = ?5, phase = ?6,
	build_at = excluded.build_at, rows_outside = 0, rows_without_event_time = 0

-- name: full_protected
SELECT uid, command, at FROM freeze WHERE model = ? AND range_start IS NULL

-- name: full_frozen
-- ?2 and ?3: the range. The first batch of it that is frozen.
SELECT uid, command, at, max(range_start, ?2) FROM freeze WHERE model = ?1 AND range_start < ?3 AND range_end > ?2
ORDER BY range_start LIMIT 1

-- name: full_busy
-- ?2: the uuid of a request of the same touch.
SELECT coalesce(r.uid, 0), r.command, x.since FROM refresh x LEFT JOIN request r ON r.id = x.request
WHERE x.model = ?1 AND x.phase <> '' AND substr(r.uuid, 1, 8) IS NOT substr(?2, 1, 8)

-- name: refresh_advance
-- ?1 model, ?2 request, ?3 and ?4 from one phase to another, ?5 at, ?6 result, ?7 error, ?8 and ?9 rows deleted.
UPDATE refresh SET phase = ?4,
	build_at = CASE WHEN ?3 = 'clear' AND ?4 = 'build' THEN ?5 ELSE build_at END,
	result = CASE WHEN ?4 = '' THEN ?6 ELSE result END,
	finished_at = CASE WHEN ?4 = '' THEN ?5 ELSE finished_at END,
	error = CASE WHEN ?4 = '' THEN ?7 ELSE error END,
	rows_outside = CASE WHEN ?3 = 'clear' THEN ?8 ELSE rows_outside END,
	rows_without_event_time = CASE WHEN ?3 = 'clear' THEN ?9 ELSE rows_without_event_time END
WHERE model = ?1 AND request = ?2 AND phase = ?3 RETURNING request

-- name: full_open
-- ?1 request, ?2 seq, ?3 at
UPDATE request SET kind = 'build', open = 1, seq = ?2, at = ?3 WHERE id = ?1

-- name: refresh_is_first
-- Whether the table is being made anew.
SELECT 1 FROM refresh WHERE model = ? AND phase = 'first'

-- name: anew_table
-- ?1 model, ?2 the table that it has from ?3 on.
UPDATE model SET table_id = ?2, looked = ?3 WHERE id = ?1

-- name: anew_first
-- ?1 model, ?2 the table that it has now: of the former one, only the batch that begins at ?3 is in it.
UPDATE state SET table_id = ?2 WHERE model = ?1 AND start = ?3

-- name: anew_close
UPDATE request SET open = 0 WHERE id = ?

-- name: anew_doubt
-- ?2: the first batch of the refresh. That, or one that was the first before the begin moved, was claimed for it: what
-- became of the table nobody knows.
UPDATE model SET looked = -1 WHERE id = ?1 AND EXISTS (SELECT 1 FROM refresh f JOIN state s ON s.model = f.model
	AND s.start BETWEEN f.range_start AND ?2 AND s.running_since >= f.since WHERE f.model = ?1)
RETURNING id

-- name: refresh_of
SELECT x.request, x.phase, x.range_start, x.range_end, x.since, x.build_at, coalesce(r.uid, 0), r.command, r.reason,
	x.rows_outside, x.rows_without_event_time, x.result, x.finished_at, x.error
FROM refresh x LEFT JOIN request r ON r.id = x.request WHERE x.model = ?

-- name: refresh_clears
SELECT 1 FROM refresh WHERE model = ? AND request = ? AND phase = 'clear'
